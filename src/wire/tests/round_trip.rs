//! Whatever goes in comes out.

use super::some::some_message;
use super::*;
use crate::error::{Error, ErrorCode};
use crate::types::Acks;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_comes_back_as_it_was(message in some_message()) {
        let bytes = bytes_of(&message);
        let decoded = decode(bytes.clone());
        prop_assert_eq!(shown(&decoded), shown(&Ok(message)));
        prop_assert_eq!(bytes_of(&decoded.unwrap()), bytes);
    }
}

fn produce(batches: Vec<Bytes>) -> Message {
    let partition = crate::types::TopicPartition::new("t", 0);
    let partitions = vec![ProducePartition { partition, current_leader_epoch: None, batches }];
    Message::Request {
        correlation: None,
        request: Request::Produce(ProduceRequest { acks: Acks::None, timeout_ms: 0, partitions }),
    }
}

fn batches_of(message: Message) -> Vec<Bytes> {
    match message {
        Message::Request { request: Request::Produce(mut produce), .. } => produce.partitions.swap_remove(0).batches,
        other => panic!("{other:?}"),
    }
}

#[test]
fn long_batches_are_sent_and_received_without_a_copy() {
    let batch = Bytes::from(vec![7; 5_000]);
    let frame = encode(&produce(vec![batch.clone(), batch.clone()])).unwrap();
    assert_eq!(frame.parts().iter().filter(|part| part.as_ptr() == batch.as_ptr()).count(), 2);
    let joined = frame.into_joined();
    let received = batches_of(decode(joined.clone()).unwrap());
    assert_eq!(received, [batch.clone(), batch]);
    assert!(received.iter().all(|batch| joined.as_ptr_range().contains(&batch.as_ptr())));
}

#[test]
fn however_many_batches_there_are_their_frame_has_no_more_parts_than_may_travel() {
    let batches: Vec<Bytes> = (0..3_000_u32).map(|n| vec![n as u8; 1_500].into()).collect();
    let frame = encode(&produce(batches.clone())).unwrap();
    assert!(frame.parts().len() <= crate::transport::FRAME_PARTS_MAX, "{}", frame.parts().len());
    assert!(frame.parts().len() > crate::transport::FRAME_PARTS_MAX / 2);
    assert_eq!(batches_of(decode(frame.into_joined()).unwrap()), batches);
}

#[test]
fn the_sentence_of_an_error_is_cut_at_a_whole_character() {
    let correlation = CorrelationId(std::num::NonZeroU64::MIN);
    let failed = |text: String| Message::Response {
        correlation,
        response: Response::Failed(Error::fatal(ErrorCode::NOT_CONTROLLER, text)),
    };
    let long = failed(format!("x{}", "ö".repeat(ERROR_TEXT_BYTES_MAX)));
    let cut = failed(format!("x{}", "ö".repeat(ERROR_TEXT_BYTES_MAX / 2 - 1)));
    assert_eq!(shown(&decode(bytes_of(&long))), shown(&Ok(cut)));
}

#[test]
fn after_the_largest_epoch_of_a_session_comes_the_first() {
    let largest = FetchSessionEpoch::of(i32::MAX as u32).unwrap();
    assert_eq!(largest.next(), FetchSessionEpoch::FIRST);
    assert_eq!(FetchSessionEpoch::FIRST.next(), FetchSessionEpoch::of(2).unwrap());
    assert_eq!([FetchSessionEpoch::of(0), FetchSessionEpoch::of(1 << 31)], [None, None]);
}
