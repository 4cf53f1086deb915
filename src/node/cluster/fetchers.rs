//! Everything that this node follows: per leader `num.replica.fetchers` fetchers, a partition's by the hash of its id.

use super::super::Alarm;
use super::fetcher::{Fetcher, Shared};
use super::replica::Replica;
use super::throttle::Throttle;
use crate::error::Result;
use crate::replication::NodeEpoch;
use crate::time::Instant;
use crate::types::NodeId;
use crate::wire::{ReplicaFetchRequest, ReplicaFetchResponse, TopicIdPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;
use std::time::Duration;

/// Which of our requests an answer belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct FetchTicket {
    pub fetcher: u32,
    /// Never given twice.
    pub number: u64,
}

/// Carries requests to leaders.
pub(crate) trait FetchSender: Send + Sync {
    /// Hands a request to the network; called with no lock held. How it ended comes back by [`Fetchers::handle_response`], perhaps
    /// before this returns: the answer, or an error when it could not be sent, the connection ended, or the deadline is over.
    fn send(&self, to: NodeId, ticket: FetchTicket, request: ReplicaFetchRequest, deadline: Instant);
}

#[derive(Clone, Debug)]
pub(crate) struct FetchSettings {
    /// `num.replica.fetchers`, of each leader.
    pub fetchers: u32,
    /// `replica.fetch.response.max.bytes`.
    pub response_bytes_max: u32,
    /// `replica.fetch.wait.max.ms`.
    pub wait_max: Duration,
    /// `replica.fetch.backoff.ms`.
    pub backoff: Duration,
    /// How long an answer may be on its way, beside the time that the leader lets it wait.
    pub request_timeout: Duration,
    /// `follower.replication.throttled.rate`.
    pub catch_up_bytes_per_second: Option<u64>,
}

/// All fetchers of a node. Every call from any thread; calls that concern one partition come one after another.
pub(crate) struct Fetchers {
    shared: Arc<Shared>,
    table: Mutex<Table>,
}

struct Table {
    node_epoch: NodeEpoch,
    fetchers: BTreeMap<(NodeId, u32), Arc<Fetcher>>,
    places: BTreeMap<TopicIdPartition, Arc<Fetcher>>,
}

impl Fetchers {
    pub fn new(settings: FetchSettings, sender: Arc<dyn FetchSender>, alarm: Arc<dyn Alarm>) -> Fetchers {
        let throttle = Throttle::new(settings.catch_up_bytes_per_second);
        let shared = Arc::new(Shared { settings, throttle, sender, alarm, number_last: AtomicU64::new(0) });
        let table = Table { node_epoch: NodeEpoch::default(), fetchers: BTreeMap::new(), places: BTreeMap::new() };
        Fetchers { shared, table: Mutex::new(table) }
    }

    /// From now on this partition is fetched from that node. Added again, to the same node or to another one, it is begun anew: its
    /// follower should be a new one, because one that waits for an answer waits in vain until its fetch is over.
    pub fn add(&self, replica: Arc<dyn Replica>, leader: NodeId, now: Instant) {
        let id = replica.id();
        let (before, fetcher) = {
            let mut table = self.table.lock();
            let fetcher = table.fetcher(leader, index_of(id, self.shared.settings.fetchers), &self.shared);
            (table.places.insert(id, Arc::clone(&fetcher)), fetcher)
        };
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, &fetcher)) {
            before.remove(id, now);
        }
        fetcher.add(replica, now);
    }

    /// It is not fetched any more; an answer that is on its way is dropped.
    pub fn remove(&self, id: TopicIdPartition, now: Instant) {
        let fetcher = self.table.lock().places.remove(&id);
        if let Some(fetcher) = fetcher {
            fetcher.remove(id, now);
        }
    }

    /// How a request ended that [`FetchSender::send`] took.
    pub fn handle_response(
        &self,
        from: NodeId,
        ticket: FetchTicket,
        result: Result<ReplicaFetchResponse>,
        now: Instant,
    ) {
        let fetcher = self.table.lock().fetchers.get(&(from, ticket.fetcher)).cloned();
        if let Some(fetcher) = fetcher {
            fetcher.handle_response(ticket.number, result, now);
        }
    }

    /// A connection begins or has ended.
    pub fn handle_peer(&self, peer: NodeId, up: bool, now: Instant) {
        for fetcher in self.fetchers() {
            if fetcher.leader() == peer {
                fetcher.handle_peer(up, now);
            }
        }
    }

    /// The node was registered: its fetches speak for this life from now on.
    pub fn handle_node_epoch(&self, node_epoch: NodeEpoch, now: Instant) {
        self.table.lock().node_epoch = node_epoch;
        for fetcher in self.fetchers() {
            fetcher.handle_node_epoch(node_epoch, now);
        }
    }

    /// Another `follower.replication.throttled.rate`.
    #[cfg(test)]
    pub fn set_catch_up_rate(&self, bytes_per_second: Option<u64>) {
        self.shared.throttle.set_rate(bytes_per_second);
    }

    /// Does what is due. Says when to come again.
    pub fn tick(&self, now: Instant) -> Option<Instant> {
        self.fetchers().iter().filter_map(|fetcher| fetcher.tick(now)).min()
    }

    /// When [`tick`](Fetchers::tick) has something to do; a moment that is over means now.
    #[cfg(test)]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.fetchers().iter().filter_map(|fetcher| fetcher.poll_timeout()).min()
    }

    /// How many partitions are fetched.
    pub fn partition_count(&self) -> usize {
        self.fetchers().iter().map(|fetcher| fetcher.partition_count()).sum()
    }

    fn fetchers(&self) -> Vec<Arc<Fetcher>> {
        self.table.lock().fetchers.values().cloned().collect()
    }
}

impl Table {
    fn fetcher(&mut self, leader: NodeId, index: u32, shared: &Arc<Shared>) -> Arc<Fetcher> {
        let node_epoch = self.node_epoch;
        let fetcher = self
            .fetchers
            .entry((leader, index))
            .or_insert_with(|| Arc::new(Fetcher::new(leader, index, node_epoch, Arc::clone(shared))));
        Arc::clone(fetcher)
    }
}

impl fmt::Debug for Fetchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetchers").field("partitions", &self.partition_count()).finish_non_exhaustive()
    }
}

/// Partitions of one topic go to the fetchers in turn.
fn index_of(id: TopicIdPartition, fetchers: u32) -> u32 {
    let topic = id.topic.iter().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    topic.wrapping_add(id.partition) % fetchers.max(1)
}
