//! A partition that lies elsewhere, as a consumer's source: records come through the client, questions about offsets wait for its leader.

use super::source::{Ask, Bounds, Source, Sources};
use crate::client::{Client, OnFetched, ReaderSettings, RemoteReader};
use crate::config::{ConsumerConfig, IsolationLevel};
use crate::error::Result;
use crate::node::Notify;
use crate::storage::AbortedTxn;
use crate::types::{Offset, Timestamp, TopicPartition};
use crate::wire::{ListedOffset, OffsetSpec};
use bytes::Bytes;
use parking_lot::Mutex;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// So much longer than the question itself its asker waits, in order to hear why it was in vain.
const ANSWER_GRACE: Duration = Duration::from_millis(500);

/// Of one answer; what one frame has room for.
const FETCH_BYTES_MAX: u32 = 32 * 1024 * 1024;

/// All partitions of a cluster, none of them here.
pub(super) struct RemoteSources(pub Arc<Client>);

/// One of them.
pub(super) struct Remote {
    client: Arc<Client>,
    partition: TopicPartition,
    reader: Arc<RemoteReader>,
    listeners: Arc<Listeners>,
    api_timeout: Duration,
    /// Of what was read last.
    aborted: Mutex<Vec<AbortedTxn>>,
}

/// Whom one partition's news go to.
#[derive(Default)]
pub(super) struct Listeners(Mutex<Numbered>);

#[derive(Default)]
struct Numbered {
    last: u64,
    list: BTreeMap<u64, Arc<dyn Notify>>,
}

/// Ends the news when it is dropped.
struct Listening {
    listeners: Arc<Listeners>,
    key: u64,
}

impl Sources for RemoteSources {
    fn open(&self, partition: &TopicPartition, config: &ConsumerConfig) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Remote::open(&self.0, partition, config, Arc::default())?))
    }
}

impl Remote {
    /// Nothing is fetched before the first read. A partition that is not known yet is asked for, which waits.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION; REQUEST_TIMED_OUT when the cluster does not say within `default.api.timeout.ms`.
    pub fn open(
        client: &Arc<Client>,
        partition: &TopicPartition,
        config: &ConsumerConfig,
        listeners: Arc<Listeners>,
    ) -> Result<Remote> {
        let remote = Remote::new(client, partition, config, listeners);
        if client.view().partition(partition).is_err() {
            remote.list(OffsetSpec::Earliest, IsolationLevel::ReadUncommitted)?;
        }
        Ok(remote)
    }

    /// As [`open`](Remote::open), for one that is known.
    pub fn new(
        client: &Arc<Client>,
        partition: &TopicPartition,
        config: &ConsumerConfig,
        listeners: Arc<Listeners>,
    ) -> Remote {
        let bytes_max = config.partition_fetch_bytes_max.min(config.fetch_bytes_max);
        let settings = ReaderSettings {
            wait_max: config.fetch_wait_max,
            bytes_min: config.fetch_bytes_min.min(FETCH_BYTES_MAX),
            // The first batch comes whole, also with a limit of 0; there 0 would mean none.
            bytes_max: bytes_max.clamp(1, FETCH_BYTES_MAX),
        };
        let heard = Arc::clone(&listeners);
        let told: OnFetched = Arc::new(move || heard.notify());
        Remote {
            client: Arc::clone(client),
            partition: partition.clone(),
            reader: RemoteReader::new(Arc::clone(client), partition.clone(), settings, told),
            listeners,
            api_timeout: config.api_timeout,
            aborted: Mutex::default(),
        }
    }

    fn list(&self, spec: OffsetSpec, isolation: IsolationLevel) -> Result<Option<ListedOffset>> {
        let deadline = self.client.clock().monotonic() + self.api_timeout;
        let ask = |done| self.client.list_offsets(&self.partition, spec, isolation, deadline, done);
        let answer = self.client.wait(deadline + ANSWER_GRACE, ask);
        answer.map_err(|error| error.within(&self.partition))
    }

    fn end_of(&self, spec: OffsetSpec, isolation: IsolationLevel) -> Result<Offset> {
        Ok(self.list(spec, isolation)?.map_or(Offset(0), |found| found.offset))
    }
}

impl Source for Remote {
    fn read(&self, ask: Ask) -> Result<Bytes> {
        let Some(found) = self.reader.read(ask.from, isolation(ask.committed))? else { return Ok(Bytes::new()) };
        *self.aborted.lock() = found.aborted;
        Ok(found.batches)
    }

    fn bounds(&self, committed: bool) -> Result<Bounds> {
        let isolation = isolation(committed);
        let start = self.end_of(OffsetSpec::Earliest, isolation)?;
        let end = self.end_of(OffsetSpec::Latest, isolation)?;
        Ok(Bounds { start, end: end.max(start) })
    }

    fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        let found = self.list(OffsetSpec::Timestamp(at), IsolationLevel::ReadUncommitted)?;
        Ok(found.map(|found| (found.offset, found.timestamp.unwrap_or(at))))
    }

    fn aborted(&self, _from: Offset, _to: Offset) -> Result<Vec<AbortedTxn>> {
        Ok(std::mem::take(&mut self.aborted.lock()))
    }

    fn subscribe(&self, listener: Arc<dyn Notify>) -> Box<dyn Any + Send + Sync> {
        self.listeners.add(listener)
    }
}

impl Listeners {
    pub fn add(self: &Arc<Self>, listener: Arc<dyn Notify>) -> Box<dyn Any + Send + Sync> {
        let mut listeners = self.0.lock();
        listeners.last += 1;
        let key = listeners.last;
        listeners.list.insert(key, listener);
        Box::new(Listening { listeners: Arc::clone(self), key })
    }
}

impl Notify for Listeners {
    fn notify(&self) {
        let listeners: Vec<Arc<dyn Notify>> = self.0.lock().list.values().cloned().collect();
        for listener in listeners {
            listener.notify();
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let listener = self.listeners.0.lock().list.remove(&self.key);
        drop(listener); // perhaps its last holder: what it does when it goes must not find the lock taken
    }
}

fn isolation(committed: bool) -> IsolationLevel {
    if committed {
        IsolationLevel::ReadCommitted
    } else {
        IsolationLevel::ReadUncommitted
    }
}

impl fmt::Debug for RemoteSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteSources")
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", self.partition)
    }
}
