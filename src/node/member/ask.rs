//! What this node has to say to the controller: that it lives, and which ISRs its leaders propose.

use super::super::cluster::{ControllerCall, MemberEvent};
use super::super::notices::Level;
use super::super::replica::Moved;
use super::super::Partition;
use super::Member;
use crate::controller::ControllerResponse;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::NodeId;
use crate::wire::{Request, Response};
use std::sync::Arc;

/// Which of the two lines a call belongs to.
#[derive(Clone, Copy)]
enum Line {
    Membership,
    Proposals,
}

impl Member {
    pub(super) fn handle_controller(&self, controller: Option<NodeId>) {
        self.membership.lock().handle_controller(controller);
        self.proposals.lock().handle_controller(controller);
        self.publish_view(&self.image());
        self.run_errands();
    }

    /// Something of a partition moved: followers that wait are answered, a proposal goes its way.
    pub(super) fn handle_moved(&self, partition: &Partition, moved: &Moved) {
        let id = partition.topic_id_partition();
        let what = changed(moved);
        if let Some(what) = what {
            self.sessions.partition_changed(id, what, || self.now());
        }
        if what.is_some() || moved.low_watermark {
            self.clients.handle_partition_changed(partition.id());
        }
        if let Some(proposal) = &moved.proposal {
            self.proposals.lock().propose(id, proposal.clone());
            self.run_errands();
        }
    }

    /// Sends what is due to the controller, and does what came of what was sent.
    pub(super) fn run_errands(&self) {
        let now = self.now();
        self.say_that_we_live(now);
        loop {
            let call = self.proposals.lock().poll_call(now);
            let Some(call) = call else { break };
            self.call_controller(call, Line::Proposals);
        }
        self.hear_how_we_stand();
        loop {
            let verdict = self.proposals.lock().poll_verdict();
            let Some((id, verdict)) = verdict else { break };
            if let Some(partition) = self.find(id) {
                partition.handle_isr_verdict(verdict, now);
            }
        }
    }

    /// Registration and heartbeats. Who calls this is not kept waiting, not by this node's own controller either.
    pub(super) fn say_that_we_live(&self, now: Instant) {
        loop {
            let call = self.membership.lock().poll_call(now);
            let Some(call) = call else { break };
            self.call_controller(call, Line::Membership);
        }
    }

    fn hear_how_we_stand(&self) {
        loop {
            let event = self.membership.lock().poll_event();
            let Some(event) = event else { break };
            self.handle_membership_event(event);
        }
    }

    fn call_controller(&self, call: ControllerCall, line: Line) {
        let ControllerCall { number, to, request, deadline } = call;
        let link = self.link.clone();
        let done = move |response: Result<ControllerResponse>| {
            let Some(member) = link.0.upgrade() else { return };
            let now = member.now();
            match line {
                Line::Membership => {
                    member.membership.lock().handle_response(number, response, now);
                    // No more than that: this may be the thread that never waits for the disk.
                    member.say_that_we_live(now);
                    member.hear_how_we_stand();
                }
                Line::Proposals => {
                    member.proposals.lock().handle_response(number, response, now);
                    member.run_errands();
                }
            }
        };
        if to == self.me {
            return self.runner().ask(request, Box::new(move |response| done(Ok(response))), self.now());
        }
        self.calls.call(&*self.transport, to, Request::Controller(request), deadline, move |outcome| {
            done(outcome.and_then(only_controller));
        });
    }

    fn handle_membership_event(&self, event: MemberEvent) {
        match event {
            MemberEvent::Registered { node_epoch } => {
                self.proposals.lock().handle_node_epoch(node_epoch);
                if let Some(node) = self.node.upgrade() {
                    node.house.wake_by(self.now()); // proposals may go now
                }
                self.tell(Level::Info, format!("node {} is registered, epoch {node_epoch}", self.me));
            }
            MemberEvent::Unfenced => {}
            MemberEvent::Fenced => {
                self.tell(Level::Warn, format!("node {} was fenced: the controller had not heard of it", self.me));
            }
            MemberEvent::Refused(error) => {
                self.tell(Level::Warn, format!("node {} is not let in yet: {error}", self.me));
            }
            MemberEvent::MayShutDown { node_epoch } => self.handle_may_shut_down(node_epoch),
        }
    }

    /// The partition of this identity, if this node has it.
    pub(super) fn find(&self, id: crate::wire::TopicIdPartition) -> Option<Arc<Partition>> {
        let name = Arc::clone(&self.image.read().topic(&id.topic)?.name);
        let topic = self.node.upgrade()?.topic(&name)?;
        topic.partition(id.partition).filter(|_| topic.id() == id.topic)
    }
}

fn changed(moved: &Moved) -> Option<super::super::cluster::Changed> {
    use super::super::cluster::Changed;
    if moved.leadership {
        Some(Changed::Leadership)
    } else if moved.log_end {
        Some(Changed::LogEnd)
    } else if moved.watermark {
        Some(Changed::HighWatermark)
    } else {
        None
    }
}

fn only_controller(response: Response) -> Result<ControllerResponse> {
    match response {
        Response::Controller(answer) => Ok(answer),
        _ => Err(Error::new(ErrorCode::CORRUPT_MESSAGE, "what came is no answer of a controller")),
    }
}
