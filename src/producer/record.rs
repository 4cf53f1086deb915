//! What goes in and what comes out: a record to send, and what is known of it once it was acknowledged.

use crate::record::Header;
use crate::types::{Offset, Rung, Timestamp};
use std::sync::Arc;

/// A record to send. It borrows everything; [`send`](crate::Producer::send) copies it before it returns.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The topic to send to.
    pub topic: &'a str,
    /// Decides the partition unless [`partition`](Record::partition) is set; `None` is Kafka's null key.
    pub key: Option<&'a [u8]>,
    /// The payload; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Name and value pairs that travel with the record.
    pub headers: &'a [Header<'a>],
    /// The partition to send to; `None` lets the partitioner choose.
    pub partition: Option<u32>,
    /// Milliseconds since the epoch; `None` is the moment of the send.
    pub timestamp: Option<Timestamp>,
}

impl<'a> Record<'a> {
    /// A record without key and headers.
    #[must_use]
    pub fn new(topic: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Record<'a> {
        Record { value: Some(value.as_ref()), ..Record::tombstone(topic) }
    }

    /// A record without a value: in a compacted topic it deletes its key.
    #[must_use]
    pub fn tombstone(topic: &'a str) -> Record<'a> {
        Record { topic, key: None, value: None, headers: &[], partition: None, timestamp: None }
    }

    /// The same record with a key.
    #[must_use]
    pub fn key(self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Record<'a> {
        Record { key: Some(key.as_ref()), ..self }
    }

    /// The same record for this partition, whatever the partitioner says.
    #[must_use]
    pub fn partition(self, partition: u32) -> Record<'a> {
        Record { partition: Some(partition), ..self }
    }

    /// The same record with its own timestamp.
    #[must_use]
    pub fn timestamp(self, timestamp: Timestamp) -> Record<'a> {
        Record { timestamp: Some(timestamp), ..self }
    }

    /// The same record with these headers.
    #[must_use]
    pub fn headers(self, headers: &'a [Header<'a>]) -> Record<'a> {
        Record { headers, ..self }
    }
}

/// Where a record lies and how safe it was when it was acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordMetadata {
    /// The topic it was sent to.
    pub topic: Arc<str>,
    /// The partition that was chosen.
    pub partition: u32,
    /// Its place in the partition; `None` with `acks=0`, which acknowledges before there is one.
    pub offset: Option<Offset>,
    /// Its timestamp: the record's own, or the time of the append where the topic says `LogAppendTime`.
    pub timestamp: Timestamp,
    /// Bytes of the key; `None` without a key.
    pub serialized_key_bytes: Option<u32>,
    /// Bytes of the value; `None` for a tombstone.
    pub serialized_value_bytes: Option<u32>,
    /// How far it had climbed when it was acknowledged: what the acknowledgement is worth.
    pub rung: Rung,
}
