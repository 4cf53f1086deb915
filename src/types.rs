//! The numbers and names that every room shares, each in a type of its own so that they cannot be mixed.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use std::fmt;
use std::sync::Arc;

/// A place in a partition's log: the number of the record that lies there. Never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Offset(pub u64);

impl Offset {
    /// The first offset that a log can have.
    pub const ZERO: Offset = Offset(0);
    /// The largest offset that Kafka's 64-bit signed field can carry.
    pub const MAX: Offset = Offset(i64::MAX as u64);

    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }

    /// This offset moved forward by `count` records.
    #[must_use]
    pub fn plus(self, count: u64) -> Offset {
        Offset(self.0.saturating_add(count))
    }

    /// How many offsets lie between `earlier` and this one; zero when `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Offset) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A byte in a segment file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position(pub u32);

/// The reign of one leader. Every batch carries the epoch of the leader that appended it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LeaderEpoch(pub u32);

/// The identity of one node of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub i64);

/// One partition of one topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: u32,
}

impl TopicPartition {
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Who must have a record before its send is acknowledged (Kafka's `acks`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Acks {
    /// `acks=0`: nobody. Acknowledged in the producer's memory; the offset is unknown.
    None,
    /// `acks=1`: the leader has written it to its page cache.
    Leader,
    /// `acks=all` (or `-1`): every in-sync replica vouches for it.
    #[default]
    All,
}

/// How far a record had climbed when it was acknowledged. A higher rung survives more.
///
/// | rung | survives |
/// |---|---|
/// | `Buffered` | nothing: it lies in the producer's memory |
/// | `Written` | the death of the process (`kill -9`), not a power cut |
/// | `Flushed` | a power cut, not the death of the disk |
/// | `Replicated` | whatever the in-sync replicas survive together |
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rung {
    Buffered,
    Written,
    Flushed,
    Replicated,
}

/// Producer id, epoch and first sequence of a batch. Kafka's -1 means "none" and is `None` here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProducerStamp {
    pub id: i64,
    pub epoch: i16,
    /// `None` for control batches, which carry an id but no sequence.
    pub base_sequence: Option<i32>,
}

/// The four compression codecs of Kafka's record batches, and none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Whose clock a record's timestamp comes from (`message.timestamp.type`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The leader's, at the moment of the append.
    LogAppendTime,
}

/// Which cluster a node belongs to (Kafka's `cluster.id`). Its text is Kafka's: URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ClusterId(pub [u8; 16]);

impl ClusterId {
    /// The reverse of the text form; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<ClusterId> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(ClusterId)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// What all members of a cluster know and nobody else (`cluster.secret`). It never travels and is never shown.
///
/// Comparing two of them takes longer the more they agree: good enough for settings, not for judging a stranger's.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    #[must_use]
    pub fn new(bytes: &[u8]) -> Secret {
        Secret(bytes.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}
