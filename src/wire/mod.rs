//! Messages between nodes, and between clients and nodes, as frames. Bytes from outside are checked here, once.
//!
//! ```text
//!  0       1         2      3       4               12
//!  +-------+---------+------+-------+---------------+---------
//!  | magic | version | type | flags |  correlation  |  body ...     magic 'K', version 1; flags bit 0: a response;
//!  +-------+---------+------+-------+---------------+---------      correlation u64, 0: one way. All numbers big-endian
//!
//!  type   0 Failed (response only)   1 ReplicaFetch    2 Controller     3 Produce    4 ConsumerFetch
//!         5 ListOffsets              6 DeleteRecords   7 Metadata       8 Raft (one way; drawn in `controller/raft_message.rs`)
//!         9 DescribeReplicas
//! ```
//!
//! A body is the fields of its struct in the order of its `layout!`, nothing between them and nothing after the last:
//!
//! ```text
//!  u8 u32 u64 i32 i64, offsets, epochs, nodes    as many bytes as they have      bool     0 or 1
//!  text (UTF-8), record batches                  length u32, bytes               id       16 bytes
//!  list                                          count u32, items                enum     variant u8, its fields
//!  Option                                        0, or 1 and the value           Result   0 and the value, or 1 and the error
//!  Error                                         code i32, fatal bool, text
//! ```
//!
//! Two messages, byte for byte. A DeleteRecords request, correlation 7, timeout 1000 ms, everything of `logs-3` below offset 41:
//!
//! ```text
//!  4b 01 06 00  00 00 00 00 00 00 00 07    envelope
//!  00 00 03 e8  00 00 00 01                timeout ms, one partition:
//!  00 00 00 04  6c 6f 67 73  00 00 00 03     topic "logs", partition 3
//!  01  00 00 00 00 00 00 00 29               there is an offset: 41
//! ```
//!
//! The leader's answer to a follower's fetch, correlation 9, no session:
//!
//! ```text
//!  4b 01 01 01  00 00 00 00 00 00 00 09    envelope
//!  00 00 00 00  00 00 00 01                no session, one partition:
//!  aa aa aa aa  aa aa aa aa  aa aa aa aa     topic id,
//!  aa aa aa aa  00 00 00 02                  partition 2
//!  00 00 00 00 00 00 00 05  00 00 00 04      number of the fetch, leader epoch
//!  00 00 00 00 00 00 00 64                   high watermark 100
//!  00 00 00 00 00 00 00 0a                   log start 10
//!  00 00 00 00 00 00 00 66                   log end 102
//!  00  00 00 00 03  01 02 03                 records: three bytes
//! ```
//!
//! Record batches travel as they lie in the log: long ones are parts of the frame when sent, all are slices of the frame when received.
//! Every length is compared with its limit and with what is there before memory is taken for it; a decoded message takes at most a
//! fixed multiple of the bytes that arrived (`limits.rs`).
//!
//! | room | what |
//! |---|---|
//! | `envelope`, `message` | the first twelve bytes; all messages and their numbers |
//! | `fields`, `field`, `limits` | bytes; values and their bytes; how much of everything |
//! | `replica_fetch`, `controller` | between nodes |
//! | `produce`, `consumer_fetch`, `offsets`, `metadata`, `replicas` | between clients and nodes |
#![cfg_attr(not(all(test, feature = "quorum")), allow(unused_imports))] // some are for the tests alone
#![cfg_attr(not(feature = "quorum"), allow(dead_code))]

mod consumer_fetch;
mod controller;
mod envelope;
mod field;
mod fields;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod limits;
mod message;
mod metadata;
mod offsets;
mod produce;
mod replica_fetch;
mod replicas;
#[cfg(all(test, feature = "quorum"))]
mod tests;

pub(crate) use consumer_fetch::{
    AbortedTransaction, ConsumerFetchPartition, ConsumerFetchPartitionResponse, ConsumerFetchRequest,
    ConsumerFetchResponse,
};
pub(crate) use envelope::{CorrelationId, Envelope, WIRE_VERSION};
pub(crate) use limits::{ERROR_TEXT_BYTES_MAX, NODES_MAX, PARTITIONS_MAX, TEXT_BYTES_MAX};
pub(crate) use message::{decode, decode_parts, encode, Message, Request, Response};
pub(crate) use metadata::{
    MetadataNode, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic, MetadataTopicDescription,
};
pub(crate) use offsets::{
    DeleteRecordsPartition, DeleteRecordsPartitionResponse, DeleteRecordsRequest, DeleteRecordsResponse,
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListedOffset,
    OffsetSpec,
};
pub(crate) use produce::{
    CurrentLeader, ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, Produced,
};
pub(crate) use replica_fetch::{
    FetchSession, FetchSessionEpoch, FetchSessionId, ReplicaFetchPartition, ReplicaFetchPartitionResponse,
    ReplicaFetchRequest, ReplicaFetchResponse, TopicIdPartition,
};
pub(crate) use replicas::{
    DescribeReplicasPartitionResponse, DescribeReplicasRequest, DescribeReplicasResponse, LedReplica, LedReplicas,
};
