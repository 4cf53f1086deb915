//! Frames: which room is meant.

use super::super::cluster::Replica;
use super::super::metadata::Bringer;
use super::super::notices::Level;
use super::Member;
use crate::error::{Error, Result};
use crate::transport::Frame;
use crate::types::NodeId;
use crate::wire::{decode, decode_parts, CorrelationId, Envelope, Message, Request, Response};
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::sync::Arc;

impl Member {
    /// A frame has arrived. Handled on this thread.
    pub(in crate::node) fn deliver(self: &Arc<Self>, from: NodeId, frame: Bytes) {
        if !self.is_stopped.load(Ordering::Acquire) {
            let _handling = self.hearing.begin();
            let envelope = Envelope::read(&frame);
            self.handle(from, envelope, decode(frame), Bringer::Stays);
        }
    }

    /// As [`deliver`](Member::deliver), from a node of this process, on a thread of that one, which is not kept for the metadata's syncs.
    pub(in crate::node) fn deliver_parts(self: &Arc<Self>, from: NodeId, frame: Frame) {
        if !self.is_stopped.load(Ordering::Acquire) {
            let envelope = Envelope::of(&frame);
            self.handle(from, envelope, decode_parts(frame), Bringer::Leaves);
        }
    }

    fn handle(self: &Arc<Self>, from: NodeId, envelope: Result<Envelope>, message: Result<Message>, by: Bringer) {
        match message {
            Ok(Message::Response { correlation, response }) => self.calls.handle_response(from, correlation, response),
            Ok(Message::Raft(message)) => {
                self.runner().handle_message(from, message, by, self.now());
            }
            Ok(Message::Request { correlation, request }) => self.route(from, correlation, request, by),
            Err(error) => {
                self.tell(Level::Warn, format!("a message of {from} was not understood: {error}"));
                // A newer program learns that it speaks with an older one.
                let asked = envelope.ok().filter(|envelope| !envelope.is_response);
                if let Some(correlation) = asked.and_then(|envelope| envelope.correlation) {
                    self.refuse(from, correlation, error);
                }
            }
        }
    }

    fn route(self: &Arc<Self>, from: NodeId, correlation: Option<CorrelationId>, request: Request, by: Bringer) {
        let now = self.now();
        match (request, correlation) {
            (Request::ReplicaFetch(request), Some(correlation)) => {
                let find = |id| self.find(id).map(|partition| partition as Arc<dyn Replica>);
                self.sessions.handle_fetch(from, correlation, request, find, now);
            }
            (Request::Controller(request), Some(correlation)) => {
                self.runner().handle_request(from, correlation.0.get(), request, by, now);
            }
            (request, correlation) => self.handle_client(from, correlation, request, now),
        }
    }

    fn refuse(&self, to: NodeId, correlation: CorrelationId, error: Error) {
        self.send(to, &Message::Response { correlation, response: Response::Failed(error) });
    }

    /// A connection begins or has ended.
    pub(super) fn handle_peer_state(&self, peer: NodeId, up: bool) {
        if self.is_stopped.load(Ordering::Acquire) {
            return;
        }
        let now = self.now();
        self.client.handle_peer_state(peer, up);
        self.sessions.handle_peer(peer, up);
        if !up {
            self.clients.handle_peer_down(peer);
        }
        self.fetchers.handle_peer(peer, up, now);
        self.runner().handle_link(peer, up, now);
    }
}
