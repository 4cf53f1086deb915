//! Limits hold on both sides: nothing above one is sent, nothing above one is let in.

use super::*;
use crate::controller::ControllerRequest;
use crate::error::ErrorCode;
use crate::types::NodeId;

fn reassign(replicas: usize) -> Message {
    let replicas = Some(vec![NodeId(1); replicas]);
    let request = ControllerRequest::AlterReassignment { name: "t".into(), partition: 0, replicas };
    Message::Request { correlation: None, request: Request::Controller(request) }
}

fn delete_topic(name_bytes: usize) -> Message {
    let request = ControllerRequest::DeleteTopic { name: "n".repeat(name_bytes).into() };
    Message::Request { correlation: None, request: Request::Controller(request) }
}

/// The longest that is sent, with one item more than it says.
fn one_more(longest: &Message, count_at: usize, item: &[u8]) -> Vec<u8> {
    let mut bytes = [&bytes_of(longest)[..], item].concat();
    let count = u32::from_be_bytes(bytes[count_at..count_at + 4].try_into().unwrap());
    bytes[count_at..count_at + 4].copy_from_slice(&(count + 1).to_be_bytes());
    bytes
}

#[test]
fn a_list_or_text_above_its_limit_is_neither_sent_nor_let_in() {
    for (longest, too_long, count_at, item) in [
        (reassign(NODES_MAX), reassign(NODES_MAX + 1), 23, &[0, 0, 0, 1][..]),
        (delete_topic(TEXT_BYTES_MAX), delete_topic(TEXT_BYTES_MAX + 1), 13, b"n"),
    ] {
        assert_eq!(shown(&decode(bytes_of(&longest))), shown(&Ok(longest.clone())));
        assert_eq!(encode(&too_long).unwrap_err().code(), ErrorCode::MESSAGE_TOO_LARGE);
        let error = decode(one_more(&longest, count_at, item).into()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE);
        assert!(error.message().contains("at most"), "{error}");
    }
}

#[test]
fn the_error_of_a_message_that_is_not_sent_says_what_there_is_too_much_of() {
    let error = encode(&reassign(2_000)).unwrap_err();
    assert_eq!(error.message(), "2000 nodes, at most 1024 travel");
    assert_eq!(encode(&delete_topic(40_000)).unwrap_err().message(), "40000 bytes of a text, at most 32768 travel");
}

#[test]
fn one_frame_takes_the_fetch_of_every_partition_that_a_request_may_list() {
    let partition = TopicIdPartition { topic: [1; 16], partition: 5 };
    let forgotten = vec![partition; PARTITIONS_MAX];
    let request = ReplicaFetchRequest {
        node_epoch: crate::replication::NodeEpoch(1),
        bytes_max: 1,
        wait_max_ms: 1,
        session: FetchSession::None { closes: None },
        partitions: Vec::new(),
        forgotten,
    };
    let message = Message::Request { correlation: None, request: Request::ReplicaFetch(request) };
    let bytes = bytes_of(&message);
    assert!(bytes.len() < crate::transport::FRAME_BYTES_MAX as usize);
    assert!(decode(bytes).is_ok());
}
