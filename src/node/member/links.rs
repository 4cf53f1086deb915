//! The strings between the parts: each holds the member weakly, because the member holds the parts.

use super::super::cluster::{FetchReplier, FetchSender, FetchTicket};
use super::super::metadata::{MetadataPeers, MetadataSubscriber};
use super::super::notices::Notice;
use super::super::replica::{Links, Moved};
use super::super::Partition;
use super::Member;
use crate::controller::{Change, ControllerEvent, ControllerResponse, Image, Membership, RaftMessage};
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::transport::{Frame, Inbox, PeerStats, Receive, Transport};
use crate::types::NodeId;
use crate::wire::{encode, CorrelationId, Message, ReplicaFetchRequest, ReplicaFetchResponse, Request, Response};
use bytes::Bytes;
use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock, Weak};

/// What a node's partitions are given before their member exists.
#[derive(Default)]
pub(in crate::node) struct MemberLinks(pub(super) OnceLock<Weak<Member>>);

impl Links for MemberLinks {
    fn moved(&self, partition: &Partition, moved: &Moved) {
        if let Some(member) = self.0.get().and_then(Weak::upgrade) {
            member.handle_moved(partition, moved);
        }
    }
}

/// The member, as its parts see it.
#[derive(Clone)]
pub(super) struct Link(pub(super) Weak<Member>);

impl Link {
    fn with(&self, work: impl FnOnce(&Arc<Member>)) {
        if let Some(member) = self.0.upgrade() {
            work(&member);
        }
    }
}

impl FetchSender for Link {
    fn send(&self, to: NodeId, ticket: FetchTicket, request: ReplicaFetchRequest, deadline: Instant) {
        self.with(|member| {
            let link = self.clone();
            member.calls.call(&*member.transport, to, Request::ReplicaFetch(request), deadline, move |outcome| {
                let answer = outcome.and_then(|response| match response {
                    Response::ReplicaFetch(answer) => Ok(answer),
                    _ => Err(Error::new(ErrorCode::CORRUPT_MESSAGE, "what came is no answer to a replica's fetch")),
                });
                link.with(|member| member.fetchers.handle_response(to, ticket, answer, member.now()));
            });
        });
    }
}

impl FetchReplier for Link {
    fn reply(&self, to: NodeId, correlation: CorrelationId, answer: Result<ReplicaFetchResponse>) {
        let response = answer.map_or_else(Response::Failed, Response::ReplicaFetch);
        self.with(|member| member.send(to, &Message::Response { correlation, response }));
    }
}

impl MetadataPeers for Link {
    fn send(&self, to: NodeId, message: RaftMessage) {
        self.with(|member| member.send(to, &Message::Raft(message)));
    }

    fn reply(&self, to: NodeId, request_id: u64, response: ControllerResponse) {
        let Some(correlation) = NonZeroU64::new(request_id).map(CorrelationId) else { return };
        let response = Response::Controller(response);
        self.with(|member| member.send(to, &Message::Response { correlation, response }));
    }
}

impl MetadataSubscriber for Link {
    fn image_changed(&self, image: &Arc<Image>, changes: &[Change]) {
        self.with(|member| member.handle_image(image, changes));
    }

    fn leader_changed(&self, leader: Option<NodeId>, _term: u64) {
        self.with(|member| member.handle_controller(leader));
    }

    fn membership_changed(&self, _membership: &Membership) {}

    fn event(&self, event: &ControllerEvent) {
        self.with(|member| member.tell_event(event));
    }

    fn notice(&self, notice: &Notice) {
        self.with(|member| member.tell(notice.level, notice.text.clone()));
    }
}

impl Receive for Link {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        self.with(|member| member.deliver(from, frame));
    }

    fn deliver_parts(&self, from: NodeId, frame: Frame) {
        self.with(|member| member.deliver_parts(from, frame));
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        self.with(|member| member.handle_peer_state(peer, up));
    }
}

/// The transport, and the shortest way of all: to oneself.
pub(super) struct Loopback {
    pub(super) me: NodeId,
    pub(super) inner: Arc<dyn Transport>,
    pub(super) link: Link,
}

impl Transport for Loopback {
    fn start(&self, me: NodeId, inbox: Inbox) -> Result<()> {
        self.inner.start(me, inbox)
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        if to != self.me {
            return self.inner.send(to, frame);
        }
        self.link.with(|member| member.deliver_parts(to, frame));
        Ok(())
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        if peer == self.me {
            return Ok(());
        }
        self.inner.set_peer(peer, address)
    }

    fn stop(&self) {
        self.inner.stop();
    }

    fn peer_stats(&self) -> Vec<PeerStats> {
        self.inner.peer_stats()
    }

    fn poll_notice(&self) -> Option<String> {
        self.inner.poll_notice()
    }
}

impl Member {
    /// What cannot be sent is lost, as on any network; whoever waits for an answer notices.
    pub(super) fn send(&self, to: NodeId, message: &Message) {
        match encode(message) {
            Ok(frame) => {
                let _ = self.transport.send(to, frame); // its own stats count it
            }
            Err(error) => self.tell(super::super::notices::Level::Warn, format!("not sent to {to}: {error}")),
        }
    }
}
