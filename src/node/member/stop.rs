//! Leaving: leaderships are handed over first, so that nobody waits for a session to end.

use super::super::notices::Level;
use super::super::Node;
use super::Member;
use crate::error::{Error, ErrorCode};
use crate::time::Instant;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Whoever waits looks at least so often what is due.
const LEAVING_STEP: Duration = Duration::from_millis(20);

/// Whether the controller has let us go.
#[derive(Default)]
pub(super) struct MayLeave {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Node {
    /// Begins a controlled shutdown: this node's leaderships go to others. [`has_left`](Node::has_left) says when it is over; ticks go on.
    pub fn begin_leaving(&self) {
        if let Some(member) = self.member() {
            member.membership.lock().begin_shutdown();
            member.run_errands();
        }
    }

    /// Nobody counts on this node any more; true for one that is alone.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.member().is_none_or(|member| *member.may_leave.told.lock())
    }

    /// A controlled shutdown on this thread, which ticks meanwhile. Gives up at `deadline`, and before it when there was no controller for a
    /// session (`broker.session.timeout.ms`): one cannot hand over to a majority that is not there, as when all nodes stop.
    pub fn leave_cluster(&self, deadline: Instant) {
        self.begin_leaving();
        let Some(member) = self.member() else { return };
        let mut controlled_at = member.now();
        while !self.has_left() {
            let now = member.now();
            if member.runner().standing().leader.is_some() {
                controlled_at = now;
            }
            if now >= deadline.min(controlled_at + member.config.session_timeout) {
                member.tell(Level::Warn, format!("node {} leaves without having handed over what it leads", member.me));
                return;
            }
            self.tick(now);
            let mut told = member.may_leave.told.lock();
            if !*told {
                member.may_leave.changed.wait_for(&mut told, LEAVING_STEP.min(deadline.since(now)));
            }
        }
    }

    /// Nothing comes in any more and nothing goes out.
    pub(in crate::node) fn stop_member(&self) {
        if let Some(member) = self.member() {
            member.stop();
        }
    }
}

impl Member {
    pub(super) fn handle_may_shut_down(&self, node_epoch: Option<u64>) {
        if let Some(node) = self.node.upgrade() {
            node.house.left_with.store(node_epoch.unwrap_or(0), Ordering::Release);
        }
        *self.may_leave.told.lock() = true;
        self.may_leave.changed.notify_all();
    }

    fn stop(&self) {
        if self.is_stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        self.transport.stop();
        let closed = Error::new(ErrorCode::CLOSED, "the engine is closed");
        self.clients.close();
        self.sessions.close();
        self.client.close(&closed);
        if let Err(failed) = self.runner().close(self.now()) {
            self.tell(Level::Warn, format!("the metadata log could not be closed in order: {failed}"));
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A node that is dropped without a close: as a process that dies, but for the sockets.
        self.transport.stop();
    }
}
