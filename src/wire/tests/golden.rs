//! The bytes of two messages, as `mod.rs` draws them.

use super::*;
use crate::replication::{Correlation, FetchOutcome, FetchResponse};
use crate::types::{LeaderEpoch, Offset, TopicPartition};

fn correlation(number: u64) -> CorrelationId {
    CorrelationId(number.try_into().unwrap())
}

/// The hexadecimal bytes of the `number`th drawing of the module's doc, without what is said beside them.
fn drawn(number: usize) -> Vec<u8> {
    let text = include_str!("../mod.rs");
    let mut drawings = text.split("//! ```").filter(|drawing| drawing.contains("4b 01"));
    let drawing = drawings.nth(number).unwrap();
    let mut bytes = Vec::new();
    for line in drawing.lines().skip(1) {
        let line = line.trim_start_matches("//!");
        // Two blanks begin a new group of bytes; the first group that is none begins the words.
        for group in line.split("  ").map(str::trim).filter(|group| !group.is_empty()) {
            let group: Option<Vec<u8>> = group
                .split(' ')
                .map(|byte| (byte.len() == 2).then(|| u8::from_str_radix(byte, 16).ok()).flatten())
                .collect();
            let Some(group) = group else { break };
            bytes.extend(group);
        }
    }
    bytes
}

#[test]
fn a_delete_records_request_has_the_bytes_of_the_drawing() {
    let partitions =
        vec![DeleteRecordsPartition { partition: TopicPartition::new("logs", 3), before: Some(Offset(41)) }];
    let request = Request::DeleteRecords(DeleteRecordsRequest { timeout_ms: 1_000, partitions });
    let message = Message::Request { correlation: Some(correlation(7)), request };
    let expected =
        b"\x4b\x01\x06\x00\0\0\0\0\0\0\0\x07\0\0\x03\xe8\0\0\0\x01\0\0\0\x04logs\0\0\0\x03\x01\0\0\0\0\0\0\0\x29";
    assert_eq!(bytes_of(&message), &expected[..]);
    assert_eq!(drawn(0), expected);
}

#[test]
fn an_answer_to_a_followers_fetch_has_the_bytes_of_the_drawing() {
    let fetched = FetchResponse {
        correlation: Correlation(5),
        leader_epoch: LeaderEpoch(4),
        high_watermark: Offset(100),
        log_start: Offset(10),
        log_end: Offset(102),
        outcome: FetchOutcome::Records(Bytes::from_static(&[1, 2, 3])),
    };
    let partition = TopicIdPartition { topic: [0xaa; 16], partition: 2 };
    let partitions = vec![ReplicaFetchPartitionResponse { partition, fetched }];
    let response = Response::ReplicaFetch(ReplicaFetchResponse { session: None, partitions });
    let message = Message::Response { correlation: correlation(9), response };
    let mut expected = b"\x4b\x01\x01\x01\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x01".to_vec();
    expected.extend([0xaa; 16]);
    expected.extend(b"\0\0\0\x02\0\0\0\0\0\0\0\x05\0\0\0\x04\0\0\0\0\0\0\0\x64\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x66");
    expected.extend(b"\0\0\0\0\x03\x01\x02\x03");
    assert_eq!(bytes_of(&message), expected);
    assert_eq!(drawn(1), expected);
}
