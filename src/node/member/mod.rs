//! This node as a member of its cluster: everything of `cluster/`, `replica/`, `metadata/` and `client/`, joined.
//!
//! ```text
//!   frames ---> router ----+--> MetadataRunner --- the image ---> apply: topics, roles, peers
//!                          +--> FetchSessions <--- moved() --- Partition (Leader)
//!                          +--> ClientService
//!                          '--> Calls --+--> Fetchers ---------> Partition (Follower)
//!   tick ---> all of them               +--> NodeMembership, IsrProposals
//!                                       '--> Client: what this node's own producers and consumers ask of other nodes
//! ```
//!
//! Frames are handled on the thread that brings them; [`beat`](Member::beat) is for one that brings nothing else. No lock of this room is held while anything else is called.

mod adopt;
mod apply;
mod appointed;
mod ask;
mod clients;
mod describe;
mod hearing;
mod links;
mod replica;
mod router;
mod start;
mod stop;
#[cfg(test)]
mod tests;
mod tick;

pub(crate) use appointed::Answered;
pub(crate) use describe::ClusterNews;

use super::cluster::{Clients, FetchSessions, Fetchers, IsrProposals, NodeMembership};
use super::metadata::MetadataRunner;
use super::Node;
use crate::client::{Calls, Client, ClusterView};
use crate::config::ClusterConfig;
use crate::controller::Image;
use crate::error::{Error, ErrorCode, Result};
use crate::replication::NodeEpoch;
use crate::time::{Clock, Instant};
use crate::transport::{ClusterId, Transport};
use crate::types::NodeId;
use describe::Listeners;
use hearing::Hearing;
use links::Link;
use parking_lot::{Mutex, RwLock};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use stop::MayLeave;

/// See above. Every call from any thread.
pub(crate) struct Member {
    me: NodeId,
    cluster: ClusterId,
    /// This life's number, drawn at the start.
    incarnation: u64,
    node: Weak<Node>,
    clock: Arc<dyn Clock>,
    config: ClusterConfig,
    /// Frames to this very node come back by it.
    transport: Arc<dyn Transport>,
    calls: Arc<Calls>,
    client: Arc<Client>,
    view: Arc<ClusterView>,
    clients: Clients,
    link: Link,
    /// Set once, as soon as it is open.
    runner: OnceLock<MetadataRunner>,
    fetchers: Fetchers,
    sessions: FetchSessions,
    membership: Mutex<NodeMembership>,
    proposals: Mutex<IsrProposals>,
    image: RwLock<Arc<Image>>,
    /// The number of this life in the metadata; 0 before they know it.
    node_epoch: AtomicU64,
    hearing: Hearing,
    /// When the leaders of this node are asked for what is due in time.
    leaders_due: Mutex<Instant>,
    /// The image has everything that was there when this life was registered: what it does not have is gone.
    is_complete: AtomicBool,
    /// When the image is carried out once more, because the disk refused some of it.
    obeys_again_at: Mutex<Option<Instant>>,
    is_stopped: AtomicBool,
    may_leave: MayLeave,
    listeners: Listeners,
}

impl Member {
    fn now(&self) -> Instant {
        self.clock.monotonic()
    }

    /// Under which the metadata know this life; `None` while they know another one, or none.
    fn node_epoch(&self) -> Option<NodeEpoch> {
        let epoch = self.node_epoch.load(Ordering::Acquire);
        (epoch > 0).then_some(NodeEpoch(epoch))
    }

    /// What this life registers as.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    fn runner(&self) -> &MetadataRunner {
        self.runner.get().expect("is set before anybody has the member")
    }

    fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image.read())
    }

    /// Where another node is, as long as the metadata do not say; `None` forgets it.
    pub(crate) fn set_peer(&self, node: NodeId, address: Option<&str>) -> Result<()> {
        if node == self.me {
            return Err(Error::new(ErrorCode::INVALID_ARG, format!("{node} is this node's own number")));
        }
        self.transport.set_peer(node, address)
    }

    /// The way to leaders elsewhere and to the controller, for this node's own users.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("me", &self.me).field("incarnation", &self.incarnation).finish_non_exhaustive()
    }
}
