//! What a runner tells the world, and to whom.

use crate::controller::{Change, ControllerEvent, ControllerResponse, Image, Membership, RaftMessage};
use crate::node::{LogLevel, Notice};
use crate::types::NodeId;
use std::fmt;
use std::sync::Arc;

/// The way to other nodes. Called with no lock of the runner's but its turn to speak: calls of the runner from in here are fine.
pub(crate) trait MetadataPeers: Send + Sync {
    /// May lose, repeat and reorder.
    fn send(&self, to: NodeId, message: RaftMessage);
    /// The answer to a request that came from there.
    fn reply(&self, to: NodeId, request_id: u64, response: ControllerResponse);
}

/// Whoever follows the metadata. One call at a time, in the order in which things happened; as with [`MetadataPeers`], with no lock.
pub(crate) trait MetadataSubscriber: Send + Sync {
    /// The committed image is this one now. The changes, of one or more offsets, lead there from the image of the call before;
    /// in the first call, from the empty one.
    fn image_changed(&self, image: &Arc<Image>, changes: &[Change]);

    fn leader_changed(&self, _leader: Option<NodeId>, _term: u64) {}

    fn membership_changed(&self, _membership: &Membership) {}

    /// The active controller, this node, has done something that an operator wants to hear of.
    fn event(&self, _event: &ControllerEvent) {}

    fn notice(&self, _notice: &Notice) {}
}

/// Waits for the answer to one request of this node.
pub(crate) type Waiter = Box<dyn FnOnce(ControllerResponse) + Send>;

/// One thing to tell.
pub(super) enum Report {
    Welcome { subscriber: Arc<dyn MetadataSubscriber>, image: Arc<Image> },
    Send { to: NodeId, message: RaftMessage },
    Reply { to: NodeId, request_id: u64, response: ControllerResponse },
    Answer { waiter: Waiter, response: ControllerResponse },
    Image { image: Arc<Image>, changes: Vec<Change> },
    Leader { leader: Option<NodeId>, term: u64 },
    Membership(Membership),
    Event(ControllerEvent),
    Notice(Notice),
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Send { to, message } => write!(f, "send to {to} {message:?}"),
            Report::Notice(notice) => write!(f, "{notice:?}"),
            _ => f.write_str("Report"),
        }
    }
}

impl Report {
    pub fn notice(level: LogLevel, text: String) -> Report {
        Report::Notice(Notice { level, facility: "METADATA", text })
    }

    pub fn deliver(self, peers: &dyn MetadataPeers, subscribers: &mut Vec<Arc<dyn MetadataSubscriber>>) {
        match self {
            Report::Welcome { subscriber, image } => {
                subscriber.image_changed(&image, &image.changes_since(&Image::default()));
                subscribers.push(subscriber);
            }
            Report::Send { to, message } => peers.send(to, message),
            Report::Reply { to, request_id, response } => peers.reply(to, request_id, response),
            Report::Answer { waiter, response } => waiter(response),
            Report::Image { image, changes } => subscribers.iter().for_each(|s| s.image_changed(&image, &changes)),
            Report::Leader { leader, term } => subscribers.iter().for_each(|s| s.leader_changed(leader, term)),
            Report::Membership(membership) => subscribers.iter().for_each(|s| s.membership_changed(&membership)),
            Report::Event(event) => subscribers.iter().for_each(|s| s.event(&event)),
            Report::Notice(notice) => subscribers.iter().for_each(|s| s.notice(&notice)),
        }
    }
}
