//! An embedded, in-process, partitioned append log with the guarantees of Kafka's producer.
//!
//! Topics, partitions, record batches and segments have the names, settings, error numbers and bytes on disk of Apache
//! Kafka; there is no broker to run. `ARCHITECTURE.md` walks one record through the house.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_debug_implementations)]
// A node that is always alone has no use for most of the rooms that join nodes.
#![cfg_attr(not(feature = "quorum"), allow(dead_code, unused_imports))]

mod client;
mod config;
mod consumer;
mod controller;
mod disk;
mod engine;
mod error;
#[cfg(feature = "ffi")]
#[doc(hidden)]
pub mod ffi;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod inspect;
mod node;
mod planted;
mod producer;
mod record;
mod replication;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod storage;
mod time;
mod transport;
mod types;
mod wire;

#[cfg(test)]
mod testing;

pub use config::{
    check as check_setting, default_of as default_of_setting, describe_json as describe_settings_json, settings,
    validate as validate_setting, Scope, Setting, SslConfig, TopicConfig, TopicOverrides,
};
pub use consumer::{
    AppendOptions, BatchFill, BatchRecords, Consumer, ConsumerBuilder, ConsumerRecord, ConsumerRecords, FetchedBatch,
    PartitionLog, PositionReset, ReadOnlyEngine, Records, StartAt, Ticket, Waker,
};
pub use controller::{ElectionType, NodeSeat};
pub use engine::{
    ClusterClient, ClusterClientBuilder, ClusterDescription, ClusterEvent, Engine, EngineBuilder, LogSink,
    NodeDescription, PartitionEnds, PartitionOutcome, PartitionReplicas, QuorumReplica, ReplicaState,
};
pub use error::{Error, ErrorCode, Result};
pub use node::{CloseReport, LogLevel, TopicDescription};
pub use producer::{
    BatchPlacement, Delivery, DeliveryReport, DeliverySink, PartitionChoice, Partitioner, Producer, ProducerBuilder,
    ProducerStats, Record, RecordMetadata,
};
pub use record::{Header, Headers};
pub use storage::{names::validate_topic_name, LogOffsets};
pub use transport::{
    ChannelHub, ChannelTransport, Frame, Inbox, PeerStats, Receive, SocketSettings, SocketTransport, TlsKeys,
    Transport, BOOTSTRAP_ID_MIN, CLIENT_ID_MIN, FRAME_BYTES_MAX, FRAME_PARTS_MAX,
};
pub use types::{
    Acks, ClusterId, Codec, LeaderEpoch, NodeId, Offset, Position, ProducerStamp, Rung, Secret, Timestamp,
    TimestampType, TopicPartition,
};

/// What the rooms above the front door need and users do not.
#[doc(hidden)]
pub mod door {
    pub use crate::disk::{fork_generation, EndSignals, EventFd};
}
