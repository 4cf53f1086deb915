//! The way to whoever is the active controller: one request at a time, a pause after a failure. Pure.

use crate::controller::{ControllerRequest, ControllerResponse};
use crate::error::{ErrorCode, Result};
use crate::time::Instant;
use crate::types::NodeId;
use std::time::Duration;

/// A request to be sent. How it ended comes back under its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ControllerCall {
    pub number: u64,
    pub to: NodeId,
    pub request: ControllerRequest,
    pub deadline: Instant,
}

#[derive(Debug)]
pub(super) struct ControllerLine {
    /// Who may be the controller; asked in turn while nobody knows better.
    voters: Vec<NodeId>,
    voter_next: usize,
    controller: Option<NodeId>,
    number_last: u64,
    outstanding: Option<Outstanding>,
    not_before: Instant,
    /// By a node that is not the controller itself.
    was_sent_on: bool,
    backoff: Duration,
    request_timeout: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    number: u64,
    to: NodeId,
    deadline: Instant,
}

impl ControllerLine {
    pub fn new(voters: Vec<NodeId>, backoff: Duration, request_timeout: Duration) -> ControllerLine {
        ControllerLine {
            voters,
            voter_next: 0,
            controller: None,
            number_last: 0,
            outstanding: None,
            not_before: Instant::default(),
            was_sent_on: false,
            backoff,
            request_timeout,
        }
    }

    /// What the metadata quorum says. A new one is asked at once.
    pub fn handle_controller(&mut self, controller: Option<NodeId>) {
        if controller.is_some() && self.controller != controller {
            self.not_before = Instant::default();
        }
        self.controller = controller;
    }

    /// Whether a request may be sent. One that was never answered is given up at its deadline.
    pub fn is_free(&self, now: Instant) -> bool {
        self.poll_timeout().is_some_and(|at| now >= at)
    }

    /// When a request may be sent; `None` while there is nobody to be asked.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let has_somebody = self.controller.is_some() || !self.voters.is_empty();
        let after = self.outstanding.map_or(self.not_before, |outstanding| outstanding.deadline.max(self.not_before));
        has_somebody.then_some(after)
    }

    /// A call has gone out, and no answer to it has come.
    pub fn is_waiting(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Who is asked next, if anybody is known to be the one.
    pub fn controller(&self) -> Option<NodeId> {
        self.controller
    }

    /// The call to send now; the line [is free](ControllerLine::is_free).
    pub fn call(&mut self, request: ControllerRequest, now: Instant) -> ControllerCall {
        if let Some(lost) = self.outstanding.take() {
            self.turn_from(lost.to);
        }
        let to = self.controller.unwrap_or_else(|| self.voters[self.voter_next % self.voters.len()]);
        self.number_last += 1;
        let (number, deadline) = (self.number_last, now + self.request_timeout);
        self.outstanding = Some(Outstanding { number, to, deadline });
        ControllerCall { number, to, request, deadline }
    }

    /// How a call ended: its answer, or an error when none came. `None` when it does not count any more.
    pub fn handle_response(
        &mut self,
        number: u64,
        response: Result<ControllerResponse>,
        now: Instant,
    ) -> Option<Result<ControllerResponse>> {
        let Outstanding { to, .. } = self.outstanding.take_if(|outstanding| outstanding.number == number)?;
        match &response {
            Err(_) => {
                self.turn_from(to);
                self.not_before = now + self.backoff;
            }
            Ok(ControllerResponse { result: Err(error), leader, .. }) if error.code() == ErrorCode::NOT_CONTROLLER => {
                self.turn_from(to);
                let hint = leader.filter(|leader| *leader != to);
                self.controller = hint.or(self.controller);
                // The one that it names is asked at once, unless we were sent on to this one, too: they may both be behind.
                self.was_sent_on = hint.is_some() && !self.was_sent_on;
                self.not_before = if self.was_sent_on { now } else { now + self.backoff };
            }
            Ok(ControllerResponse { result: Err(_), .. }) => self.not_before = now + self.backoff,
            Ok(ControllerResponse { result: Ok(_), .. }) => {
                self.controller = Some(to);
                self.was_sent_on = false;
            }
        }
        Some(response)
    }

    /// This one did not answer, or is not it.
    fn turn_from(&mut self, node: NodeId) {
        if self.controller == Some(node) {
            self.controller = None;
        }
        self.voter_next = (self.voter_next + 1) % self.voters.len().max(1);
    }
}
