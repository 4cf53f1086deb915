//! A replica of this node, as fetching sees it.

use crate::replication::{FetchRequest, FetchResponse, NodeEpoch};
use crate::time::Instant;
use crate::types::{NodeId, Offset};
use crate::wire::TopicIdPartition;

/// What a follower was told last of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub high_watermark: Offset,
    pub log_start: Offset,
}

/// Who asks, and how much the answer may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Serving {
    pub from: NodeId,
    pub node_epoch: NodeEpoch,
    /// The fetch arrives. Else it was heard before and is looked at again.
    pub is_new: bool,
    /// `None`: the follower may know nothing, so there is always something to say.
    pub known: Option<Known>,
    /// Of records; 0 for none at all.
    pub bytes_max: u32,
    /// The first batch is read whole even if it is longer (Kafka's `minOneMessage`).
    pub is_first: bool,
}

/// One partition. Calls take the partition's own lock for their duration; none of them waits for a peer. They may tell
/// [`FetchSessions`](super::FetchSessions) that a partition changed, once that lock is released.
pub(crate) trait Replica: Send + Sync {
    fn id(&self) -> TopicIdPartition;

    /// As leader: the answer to a fetch, or `None` while there is nothing to say that the follower does not know, or no room to say
    /// it. An answer without records tells of the high watermark and the log start. Whoever does not lead answers with an error.
    fn serve(&self, serving: Serving, fetch: &FetchRequest, now: Instant) -> Option<FetchResponse>;

    /// As follower: the fetch to send now. `None`: not now, or that node does not lead it any more.
    fn poll_fetch(&self, leader: NodeId, now: Instant) -> Option<FetchRequest>;

    /// When [`poll_fetch`](Replica::poll_fetch) has something, a moment that is over meaning now. While a fetch stands this is when it
    /// is asked anew, which also tells the leader that the follower is still there; so well within `replica.lag.time.max.ms`.
    /// `None`: not before it is added again.
    fn poll_fetch_timeout(&self) -> Option<Instant>;

    /// Appends, truncates, flushes: everything that the answer asks for. Errors are dealt with inside.
    fn handle_fetch_response(&self, from: NodeId, response: FetchResponse, now: Instant);
}
