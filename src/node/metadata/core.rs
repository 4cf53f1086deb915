//! What the runner's lock guards: the controller, its log, and what one call does to both.

use super::log::MetadataLog;
use super::reports::{Report, Waiter};
use super::runner::Standing;
use crate::controller::{
    Appointment, Controller, ControllerOutput, ControllerRequest, ControllerResponse, Image, Persist, RaftMessage,
};
use crate::error::{Error, ErrorCode, Result};
use crate::node::LogLevel;
use crate::time::Instant;
use crate::types::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Requests of this node's own carry this bit, so that nobody else's answer is taken for theirs.
const OWN: u64 = 1 << 63;

/// One call from outside.
pub(super) enum Call {
    Message { from: NodeId, message: RaftMessage },
    Request { from: NodeId, request_id: u64, request: ControllerRequest },
    Ask { request: ControllerRequest, waiter: Waiter },
    Appoint { appointment: Appointment, waiter: Waiter },
    Link { node: NodeId, up: bool },
    Tick { deaf: Duration },
}

pub(super) struct Core {
    me: NodeId,
    pub controller: Controller,
    pub log: MetadataLog,
    waiters: BTreeMap<u64, Waiter>,
    asked: u64,
    /// Failed, or closed: nothing is written and nothing leaves any more.
    pub is_over: bool,
    is_closed: bool,
}

impl Core {
    pub fn new(me: NodeId, controller: Controller, log: MetadataLog) -> Core {
        Core { me, controller, log, waiters: BTreeMap::new(), asked: OWN, is_over: false, is_closed: false }
    }

    pub fn handle(&mut self, call: Call, now: Instant, reports: &mut Vec<Report>) {
        match call {
            Call::Message { .. } if self.is_over => {}
            Call::Message { from, message } => self.controller.handle_message(from, &message, now),
            Call::Request { from, request_id, request } => {
                self.controller.handle_request(from, request_id & !OWN, &request, now);
            }
            Call::Ask { request, waiter } => {
                self.asked += 1;
                self.waiters.insert(self.asked, waiter);
                self.controller.handle_request(self.me, self.asked, &request, now);
            }
            Call::Appoint { waiter, .. } => reports.push(self.refuse_appointment(waiter)),
            Call::Link { node, up } => self.controller.handle_link(node, up, now),
            Call::Tick { .. } if self.is_over => {}
            Call::Tick { deaf } => {
                self.controller.handle_deaf(deaf);
                if let Err(error) = self.log.handle_timeout(now) {
                    self.fail(error, now);
                }
                self.controller.handle_timeout(now);
            }
        }
        self.carry_out(now, reports);
    }

    /// In the order in which the controller asks.
    pub fn carry_out(&mut self, now: Instant, reports: &mut Vec<Report>) {
        let (mut changes, mut image_at) = (Vec::new(), None);
        while let Some(output) = self.controller.poll_output() {
            match output {
                ControllerOutput::Persist(persist) => self.persist(&persist, now),
                ControllerOutput::Send { .. } if self.is_over => {}
                ControllerOutput::Send { to, message } => reports.push(Report::Send { to, message }),
                ControllerOutput::Reply { to, request_id, response } => {
                    reports.push(self.reply(to, request_id, response));
                }
                // An answer speaks of an image that its reader can see already: the newest one goes where the first would.
                ControllerOutput::ImageChanged { offset, changes: more } => {
                    debug_assert!(offset <= self.controller.image().offset(), "news of {offset}, which is not applied");
                    image_at.get_or_insert(reports.len());
                    changes.extend(more);
                }
                ControllerOutput::LeaderChanged { leader, term } => reports.push(Report::Leader { leader, term }),
                ControllerOutput::MembershipChanged(membership) => reports.push(Report::Membership(membership)),
                ControllerOutput::Event(event) => reports.push(Report::Event(event)),
                ControllerOutput::Stopped(_) if self.is_closed => {}
                ControllerOutput::Stopped(error) => {
                    self.is_over = true;
                    let text =
                        format!("node {} has left the metadata quorum until it is opened again: {error}", self.me);
                    reports.push(Report::notice(LogLevel::Error, text));
                }
            }
        }
        if let Some(at) = image_at {
            let image = Arc::new(self.controller.image().clone());
            reports.insert(at, Report::Image { image, changes });
        }
    }

    /// In order: whoever waits for an answer gets one.
    pub fn close(&mut self, now: Instant, reports: &mut Vec<Report>) -> Result<()> {
        (self.is_over, self.is_closed) = (true, true);
        self.controller.handle_storage_error(Error::new(ErrorCode::CLOSED, "the metadata log is closed"), now);
        self.carry_out(now, reports);
        self.log.close()
    }

    fn persist(&mut self, persist: &Persist, now: Instant) {
        if self.is_over {
            return;
        }
        match self.log.persist(persist) {
            Ok(()) if persist.must_sync => self.controller.handle_persisted(persist.number, now),
            Ok(()) => {}
            Err(error) => self.fail(error, now),
        }
    }

    /// What was promised may not be on the disk: nothing leaves this node from here on.
    fn fail(&mut self, error: Error, now: Instant) {
        self.is_over = true;
        self.controller.handle_storage_error(error, now);
    }

    pub fn standing(&self, image: Arc<Image>) -> Standing {
        let controller = &self.controller;
        Standing {
            image,
            leader: controller.leader(),
            term: controller.term(),
            is_active: controller.is_active() && !self.is_over,
            membership: controller.membership().clone(),
            timeout: controller.poll_timeout().filter(|_| !self.is_over),
        }
    }

    fn refuse_appointment(&self, waiter: Waiter) -> Report {
        let text = "leaders are elected here: only with controller.mode=static does the program appoint them";
        let result = Err(Error::new(ErrorCode::STATE, text));
        let metadata_offset = self.controller.image().offset();
        let response = ControllerResponse { result, leader: self.controller.leader(), metadata_offset };
        Report::Answer { waiter, response }
    }

    fn reply(&mut self, to: NodeId, request_id: u64, response: ControllerResponse) -> Report {
        match self.waiters.remove(&request_id) {
            Some(waiter) if to == self.me => Report::Answer { waiter, response },
            _ => Report::Reply { to, request_id, response },
        }
    }
}
