//! Bytes that no sender of ours would send.

use super::fuzz::wire_frame;
use super::some::samples;
use super::*;
use crate::error::ErrorCode;
use proptest::collection::vec;
use proptest::prelude::*;

fn refused(bytes: &[u8]) -> ErrorCode {
    decode(Bytes::copy_from_slice(bytes)).expect_err("refused").code()
}

/// The bytes of a message with some of them replaced.
fn with(message: &Message, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = bytes_of(message).to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    changed
}

fn metadata_request() -> Message {
    let correlation = Some(CorrelationId(77.try_into().unwrap()));
    let topics = Some(vec!["größe".into()]);
    Message::Request { correlation, request: Request::Metadata(MetadataRequest { topics }) }
}

#[test]
fn a_message_that_is_cut_anywhere_or_goes_on_after_its_end_is_refused() {
    for message in samples(300, 2_500) {
        let bytes = bytes_of(&message);
        for end in 0..bytes.len() {
            assert_eq!(refused(&bytes[..end]), ErrorCode::CORRUPT_MESSAGE, "{end} of {message:?}");
        }
        assert_eq!(refused(&[&bytes[..], &[0]].concat()), ErrorCode::CORRUPT_MESSAGE, "{message:?}");
    }
}

#[test]
fn no_length_is_believed_that_lies() {
    for message in samples(300, 2_500) {
        let bytes = bytes_of(&message);
        for at in 0..bytes.len() - 3 {
            let left = u32::try_from(bytes.len() - at).unwrap();
            // Not every place is a length; what matters is that each is survived, and written down again as it was.
            for lie in [u32::MAX, u32::MAX >> 1, 1 << 24, 200_000, 1_024, left, left - 4] {
                wire_frame(&with(&message, at, &lie.to_be_bytes()));
            }
        }
    }
}

#[test]
fn a_count_that_cannot_be_there_is_refused_before_memory_is_taken_for_it() {
    let one = metadata_request();
    assert_eq!(refused(&with(&one, 13, &100_000_u32.to_be_bytes())), ErrorCode::CORRUPT_MESSAGE);
    let error = decode(with(&one, 13, &u32::MAX.to_be_bytes()).into()).unwrap_err();
    assert_eq!(error.message(), "metadata request: a count of 4294967295, at most 100000, 11 bytes left");
    // The compiler checks what each item may occupy; the largest come to these.
    assert!(size_of::<ConsumerFetchPartitionResponse>() <= 256 && size_of::<ReplicaFetchPartitionResponse>() <= 128);
}

#[test]
fn a_newer_message_is_refused_by_naming_both_versions_and_can_be_answered() {
    let newer = with(&metadata_request(), 1, &[2]);
    let error = decode(newer.clone().into()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UNSUPPORTED_VERSION);
    let both = "a message of wire version 2 with flags 0x00; this program knows version 1 with flags 0x01";
    assert_eq!(error.message(), both);
    let envelope = Envelope::read(&newer).unwrap();
    assert_eq!((envelope.version, envelope.kind, envelope.is_response), (2, 7, false));
    assert_eq!(envelope.correlation, Some(CorrelationId(77.try_into().unwrap())));

    let unknown = decode(with(&metadata_request(), 2, &[10]).into()).unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::UNSUPPORTED_VERSION);
    let both = "a request of type 10 in wire version 1; this program knows types up to 9 in version 1";
    assert_eq!(unknown.message(), both);
    for (at, byte) in [(1, 0), (1, 255), (2, 0), (2, 255), (3, 2), (3, 0x81)] {
        assert_eq!(refused(&with(&metadata_request(), at, &[byte])), ErrorCode::UNSUPPORTED_VERSION, "{at} {byte}");
    }
}

#[test]
fn an_envelope_that_contradicts_itself_is_refused() {
    let no_answer = with(&metadata_request(), 4, &[0; 8]);
    assert!(matches!(decode(no_answer.into()), Ok(Message::Request { correlation: None, .. })));
    let mut response_to_nothing = with(&metadata_request(), 4, &[0; 8]);
    response_to_nothing[3] = 1;
    assert_eq!(refused(&response_to_nothing), ErrorCode::CORRUPT_MESSAGE);
    let raft = samples(500, 2_500).into_iter().find(|message| matches!(message, Message::Raft(_))).unwrap();
    assert!(decode(bytes_of(&raft)).is_ok());
    assert_eq!(refused(&with(&raft, 11, &[1])), ErrorCode::CORRUPT_MESSAGE);
    for (at, byte) in [(0, b'k'), (12, 2), (21, 0xff)] {
        // Magic, a bool, a text that is not UTF-8.
        assert_eq!(refused(&with(&metadata_request(), at, &[byte])), ErrorCode::CORRUPT_MESSAGE, "{at} {byte}");
    }
}

#[test]
fn a_session_without_a_number_has_no_epoch() {
    let fetch = |session| {
        let (node_epoch, bytes_max, wait_max_ms) = (crate::replication::NodeEpoch(1), 1, 1);
        let (partitions, forgotten) = (Vec::new(), Vec::new());
        let request = ReplicaFetchRequest { node_epoch, bytes_max, wait_max_ms, session, partitions, forgotten };
        Message::Request { correlation: None, request: Request::ReplicaFetch(request) }
    };
    let open = fetch(FetchSession::Open { closes: None });
    let with_session = |id: u32, epoch: i32| with(&open, 28, &[id.to_be_bytes(), epoch.to_be_bytes()].concat());
    let id = FetchSessionId(3.try_into().unwrap());
    let incremental = FetchSession::Incremental { id, epoch: FetchSessionEpoch::FIRST };
    assert_eq!(with_session(3, 1), bytes_of(&fetch(incremental)));
    assert_eq!(with_session(3, -1), bytes_of(&fetch(FetchSession::None { closes: Some(id) })));
    for (id, epoch) in [(0, 1), (0, i32::MAX), (3, -2), (3, i32::MIN)] {
        assert_eq!(refused(&with_session(id, epoch)), ErrorCode::CORRUPT_MESSAGE, "{id} {epoch}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_harm_nobody(kind in 0..10_u8, flags in 0..2_u8, body in vec(any::<u8>(), 0..300)) {
        wire_frame(&body);
        let envelope = [b'K', WIRE_VERSION, kind, flags, 0, 0, 0, 0, 0, 0, 0, flags];
        wire_frame(&[&envelope[..], &body].concat());
        // Small numbers are more often counts that fit.
        let small: Vec<u8> = body.iter().map(|byte| byte % 3).collect();
        wire_frame(&[&envelope[..], &small].concat());
    }
}

#[test]
fn damaged_messages_are_survived() {
    for (seed, message) in (0..).zip(samples(3_000, 1_500)) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = bytes_of(&message).to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] ^= 1 << random.u8(..8),
                2 => bytes.insert(at, random.u8(..)),
                _ => drop(bytes.remove(at)),
            }
        }
        let survived = std::panic::catch_unwind(|| wire_frame(&bytes));
        assert!(survived.is_ok(), "seed {seed}");
    }
}
