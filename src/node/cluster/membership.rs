//! This node's registration at the controller (Kafka's `BrokerLifecycleManager`). Pure.
//!
//! ```text
//!              registered             caught up            begin_shutdown           may go
//!   Registering ---------> Fenced <------------> Unfenced ----------------> Leaving --------> Gone
//!        ^   the controller forgot us |              |
//!        '----------------------------+--------------'
//! ```

use super::controller_line::{ControllerCall, ControllerLine};
use crate::controller::{ControllerRequest, ControllerResponse, Heartbeat, RegisterNode, Reply};
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::NodeId;
use std::collections::VecDeque;
use std::time::Duration;

/// Between heartbeats of a node that leaves.
pub(crate) const LEAVING_INTERVAL_MAX: Duration = Duration::from_millis(100);

/// The number of calls whose answers nobody waits for; a line counts from 1.
const COPY: u64 = 0;

#[derive(Clone, Debug)]
pub(crate) struct NodeMembershipSettings {
    pub node: NodeId,
    /// Drawn at each start.
    pub incarnation: u64,
    pub address: String,
    pub rack: Option<String>,
    /// `node.holds.data`; one that does not only votes.
    pub holds_data: bool,
    /// What a clean shutdown left on the disk; `None` after a crash, and the first time.
    pub previous_epoch: Option<u64>,
    pub voters: Vec<NodeId>,
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
    pub backoff: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MemberStanding {
    Registering,
    /// Registered; leads nothing and is in no ISR.
    Fenced,
    Unfenced,
    Leaving,
    /// It may stop now.
    Gone,
}

/// What the node has to hear of.
#[derive(Clone, Debug)]
pub(crate) enum MemberEvent {
    /// It lives under this number from now on.
    Registered {
        node_epoch: u64,
    },
    Unfenced,
    /// The controller had not heard of us for a session.
    Fenced,
    /// The controller does not let it in, and why: another process with its number lives, mostly. It is tried again.
    Refused(Error),
    /// It leads nothing any more, and everybody knows. A clean shutdown leaves the node epoch on the disk as the next `previous_epoch`.
    MayShutDown {
        node_epoch: Option<u64>,
    },
}

#[derive(Debug)]
pub(crate) struct NodeMembership {
    settings: NodeMembershipSettings,
    line: ControllerLine,
    standing: MemberStanding,
    node_epoch: Option<u64>,
    metadata_offset: u64,
    /// When the next request is due.
    due: Instant,
    /// When the last heartbeat was sent that was answered well.
    heard_at: Option<Instant>,
    /// Who answered it.
    heard_from: Option<NodeId>,
    sent_at: Instant,
    /// No answer came to the last call.
    is_unanswered: bool,
    /// Copies of a heartbeat that are to be sent beside it.
    copies: Vec<ControllerCall>,
    is_refused: bool,
    events: VecDeque<MemberEvent>,
}

impl NodeMembership {
    pub fn new(settings: NodeMembershipSettings) -> NodeMembership {
        // A lost request must not cost the session.
        let request_timeout = (settings.session_timeout / 2).max(Duration::from_millis(1));
        NodeMembership {
            line: ControllerLine::new(settings.voters.clone(), settings.backoff, request_timeout),
            settings,
            standing: MemberStanding::Registering,
            node_epoch: None,
            metadata_offset: 0,
            due: Instant::default(),
            heard_at: None,
            heard_from: None,
            sent_at: Instant::default(),
            is_unanswered: false,
            copies: Vec::new(),
            is_refused: false,
            events: VecDeque::new(),
        }
    }

    /// Who the active controller is, as the metadata quorum says.
    pub fn handle_controller(&mut self, controller: Option<NodeId>) {
        self.line.handle_controller(controller);
    }

    /// The metadata are applied up to here. A fenced node that has caught up says so at once.
    pub fn handle_metadata_offset(&mut self, offset: u64) {
        let was_behind = self.is_behind();
        self.metadata_offset = self.metadata_offset.max(offset);
        if self.standing == MemberStanding::Fenced && was_behind && !self.is_behind() {
            self.due = Instant::default();
        }
    }

    /// The node wants to stop in order: it hands over what it leads first.
    pub fn begin_shutdown(&mut self) {
        match self.standing {
            // Nobody counts on it.
            MemberStanding::Registering => self.go(),
            MemberStanding::Fenced | MemberStanding::Unfenced => {
                self.standing = MemberStanding::Leaving;
                self.due = Instant::default();
            }
            MemberStanding::Leaving | MemberStanding::Gone => {}
        }
    }

    /// The call to send now; there may be more. How it ended comes back by [`handle_response`](NodeMembership::handle_response).
    pub fn poll_call(&mut self, now: Instant) -> Option<ControllerCall> {
        if let Some(copy) = self.copies.pop() {
            return Some(copy);
        }
        if self.standing == MemberStanding::Gone || now < self.due || !self.line.is_free(now) {
            return None;
        }
        let request = match self.node_epoch.filter(|_| self.standing != MemberStanding::Registering) {
            None => self.registration(),
            Some(node_epoch) => ControllerRequest::Heartbeat(Heartbeat {
                node: self.settings.node,
                node_epoch,
                metadata_offset: self.metadata_offset,
                wants_fenced: self.standing == MemberStanding::Fenced && self.is_behind(),
                wants_shutdown: self.standing == MemberStanding::Leaving,
            }),
        };
        self.sent_at = now;
        self.due = now + self.interval();
        self.is_unanswered |= self.line.is_waiting();
        let call = self.line.call(request, now);
        self.copy_to_others(&call);
        Some(call)
    }

    /// A node that gets no answers may be deaf, because its disk holds up whoever brings them, and would ask one after the other for longer than
    /// its session: so it says to all who may be the controller that it lives. Nobody waits for their answers.
    fn copy_to_others(&mut self, call: &ControllerCall) {
        if self.is_unanswered && matches!(call.request, ControllerRequest::Heartbeat(_)) {
            let mut others = self.settings.voters.clone();
            others.extend(self.heard_from);
            others.retain(|other| *other != call.to);
            others.sort_unstable();
            others.dedup();
            self.copies.extend(others.into_iter().map(|to| ControllerCall { number: COPY, to, ..call.clone() }));
        }
    }

    fn registration(&self) -> ControllerRequest {
        let NodeMembershipSettings { node, incarnation, address, rack, previous_epoch, .. } = &self.settings;
        ControllerRequest::RegisterNode(RegisterNode {
            node: *node,
            incarnation: *incarnation,
            address: address.clone(),
            rack: rack.clone(),
            holds_data: self.settings.holds_data,
            // That it stopped in order is true of its first registration alone.
            previous_epoch: previous_epoch.filter(|_| self.node_epoch.is_none()),
        })
    }

    pub fn handle_response(&mut self, number: u64, response: Result<ControllerResponse>, now: Instant) {
        let Some(response) = self.line.handle_response(number, response, now) else { return };
        // One that is too busy to listen has not answered either.
        let answer = response.as_ref().map(|response| response.result.as_ref().err().map(Error::code));
        self.is_unanswered = matches!(answer, Err(_) | Ok(Some(ErrorCode::REQUEST_TIMED_OUT)));
        match response.and_then(|response| response.result) {
            Ok(Reply::Registered { node_epoch }) => self.handle_registered(node_epoch),
            Ok(Reply::Heartbeat { is_fenced, should_shut_down, .. }) => self.handle_beat(is_fenced, should_shut_down),
            Ok(_) => {}
            Err(error) => self.handle_error(error),
        }
    }

    fn handle_registered(&mut self, node_epoch: u64) {
        if self.standing != MemberStanding::Registering {
            return;
        }
        self.is_refused = false;
        self.standing = MemberStanding::Fenced;
        self.due = Instant::default();
        if self.node_epoch.replace(node_epoch) != Some(node_epoch) {
            self.events.push_back(MemberEvent::Registered { node_epoch });
        }
    }

    fn handle_beat(&mut self, is_fenced: bool, should_shut_down: bool) {
        self.heard_at = Some(self.sent_at);
        self.heard_from = self.line.controller();
        match (self.standing, is_fenced) {
            (MemberStanding::Leaving, _) if should_shut_down => self.go(),
            (MemberStanding::Fenced, false) => {
                self.standing = MemberStanding::Unfenced;
                self.events.push_back(MemberEvent::Unfenced);
            }
            (MemberStanding::Unfenced, true) => {
                self.standing = MemberStanding::Fenced;
                self.events.push_back(MemberEvent::Fenced);
            }
            _ => {}
        }
    }

    fn handle_error(&mut self, error: Error) {
        // Tried again as soon as the line is free.
        self.due = Instant::default();
        let is_forgotten = [ErrorCode::BROKER_ID_NOT_REGISTERED, ErrorCode::STALE_BROKER_EPOCH].contains(&error.code());
        match self.standing {
            MemberStanding::Leaving if is_forgotten => self.go(),
            MemberStanding::Fenced | MemberStanding::Unfenced if is_forgotten => {
                if self.standing == MemberStanding::Unfenced {
                    self.events.push_back(MemberEvent::Fenced);
                }
                self.standing = MemberStanding::Registering;
            }
            MemberStanding::Registering if !error.is_retriable() && !self.is_refused => {
                self.is_refused = true; // told once
                self.events.push_back(MemberEvent::Refused(error));
            }
            _ => {}
        }
    }

    fn go(&mut self) {
        self.standing = MemberStanding::Gone;
        // A life that was never registered passes on what the one before it has left behind: it has lost nothing of that.
        let node_epoch = self.node_epoch.or(self.settings.previous_epoch);
        self.events.push_back(MemberEvent::MayShutDown { node_epoch });
    }

    pub fn poll_event(&mut self) -> Option<MemberEvent> {
        self.events.pop_front()
    }

    /// When [`poll_call`](NodeMembership::poll_call) has something; a moment that is over means now.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let free_at = self.line.poll_timeout().filter(|_| self.standing != MemberStanding::Gone)?;
        Some(if self.copies.is_empty() { self.due.max(free_at) } else { Instant::default() })
    }

    pub fn standing(&self) -> MemberStanding {
        self.standing
    }

    #[cfg(test)]
    pub fn node_epoch(&self) -> Option<u64> {
        self.node_epoch
    }

    /// Until then nobody fences it for being silent; `None` before the first heartbeat.
    #[cfg(test)]
    pub fn session_ends_at(&self) -> Option<Instant> {
        self.heard_at.map(|at| at + self.settings.session_timeout)
    }

    /// It has not applied its own registration yet.
    fn is_behind(&self) -> bool {
        self.node_epoch.is_none_or(|node_epoch| self.metadata_offset < node_epoch)
    }

    fn interval(&self) -> Duration {
        let interval = self.settings.heartbeat_interval;
        if self.standing == MemberStanding::Leaving {
            interval.min(LEAVING_INTERVAL_MAX)
        } else {
            interval
        }
    }
}
