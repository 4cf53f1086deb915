//! What one partition's log has to know of its topic's settings, resolved and in native types.

use crate::types::{Codec, TimestampType};
use std::time::Duration;

/// `cleanup.policy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// `dir.full.policy`: what an append does when the directory would grow past `dir.max.bytes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DirFullPolicy {
    /// The append is refused; nothing is written.
    #[default]
    Reject,
    /// The topic's oldest segments are dropped to make room.
    DropOldest,
}

/// The settings of one topic as its logs see them. Defaults are Kafka 4.0's, except `flush.ms` (1000).
#[derive(Clone, PartialEq, Debug)]
pub struct LogConfig {
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_age_max: Duration,
    /// `segment.jitter.ms`.
    pub segment_jitter: Duration,
    /// `segment.index.bytes`.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `flush.messages`: `None` is Kafka's Long.MAX (never by count).
    pub flush_messages: Option<u64>,
    /// `flush.ms`: `None` is never by time.
    pub flush_interval: Option<Duration>,
    /// `retention.bytes`: `None` is unlimited.
    pub retention_bytes: Option<u64>,
    /// `retention.ms`: `None` is unlimited.
    pub retention_age: Option<Duration>,
    /// `max.message.bytes`: the largest batch that a leader accepts.
    pub max_message_bytes: u32,
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `file.delete.delay.ms`.
    pub file_delete_delay: Duration,
    /// `compression.type` of the topic: `None` is `producer` (keep what arrives).
    pub compression: Option<Codec>,
    /// `preallocate`.
    pub preallocate: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: `None` is unlimited.
    pub timestamp_before_max: Option<Duration>,
    /// `message.timestamp.after.max.ms`: `None` is unlimited.
    pub timestamp_after_max: Option<Duration>,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration: Duration,
    /// `dir.full.policy` (ours).
    pub dir_full_policy: DirFullPolicy,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_age_max: Duration::from_millis(604_800_000),
            segment_jitter: Duration::ZERO,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: None,
            flush_interval: Some(Duration::from_millis(1000)),
            retention_bytes: None,
            retention_age: Some(Duration::from_millis(604_800_000)),
            max_message_bytes: 1_048_588,
            cleanup_policy: CleanupPolicy { delete: true, compact: false },
            file_delete_delay: Duration::from_millis(60_000),
            compression: None,
            preallocate: false,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max: None,
            timestamp_after_max: Some(Duration::from_millis(3_600_000)),
            min_insync_replicas: 1,
            unclean_leader_election: false,
            producer_id_expiration: Duration::from_millis(86_400_000),
            dir_full_policy: DirFullPolicy::Reject,
        }
    }
}
