//! Leading: appends under a reign, what they do to the high watermark, and the controller's word.

use super::super::append::Done;
use super::super::partition::Partition;
use super::moved::Moved;
use super::{facts, Role, Seat, State};
use crate::error::{Error, Result};
use crate::replication::{check_leader_epoch, IsrVerdict, Leader, LeaderOutput, Standing, PROPOSAL_RETRY};
use crate::storage::Log;
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset};
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Seat {
    /// Runs `work` as the leader that admits it; nobody else becomes leader meanwhile.
    pub(in crate::node) fn as_leader<T>(
        &self,
        partition: &Partition,
        log: &Log,
        acks: Acks,
        work: impl FnOnce(LeaderEpoch) -> T,
    ) -> Result<Done<T>> {
        let must_flush = partition.must_flush_before_ack();
        let mut state = self.state.lock();
        let leader = state.leading(self.me, partition.id())?;
        let leader_epoch = leader.admit(acks).map_err(|e| e.within(partition.id()))?;
        let before = log.log_end();
        let value = work(leader_epoch);
        leader.handle_log(facts(log, must_flush), partition.house.clock.monotonic());
        let moved = carry_out(leader, log);
        let offsets = log.offsets();
        drop(state);
        Ok(Done { value, leader_epoch, offsets, moved: Moved { log_end: offsets.log_end > before, ..moved } })
    }

    /// The log was flushed, or its start has moved.
    pub(in crate::node) fn handle_log(&self, partition: &Partition, log: &Log) -> Moved {
        let must_flush = partition.must_flush_before_ack();
        let now = partition.house.clock.monotonic();
        self.with_leader(log, |leader| leader.handle_log(facts(log, must_flush), now))
    }

    fn with_leader(&self, log: &Log, work: impl FnOnce(&mut Leader)) -> Moved {
        let mut state = self.state.lock();
        let State { role: Role::Leader(leader), .. } = &mut *state else { return Moved::default() };
        work(leader);
        carry_out(leader, log)
    }

    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER.
    pub(in crate::node) fn check_leading(&self, partition: &Partition) -> Result<()> {
        self.state.lock().leading(self.me, partition.id()).map(|_| ())
    }

    /// This node leads.
    pub(in crate::node) fn is_leading(&self) -> bool {
        self.is_leading.load(Ordering::Acquire)
    }

    /// Who leads and in which reign, as far as this node has heard.
    pub(in crate::node) fn leader(&self) -> (Option<NodeId>, LeaderEpoch) {
        let state = self.state.lock();
        (state.leader, state.leader_epoch)
    }
}

impl Partition {
    fn lead_on(&self, seat: &Seat, work: impl FnOnce(&mut Leader)) {
        // A log that does not open any more leads nothing.
        let Ok(log) = self.log() else { return };
        let moved = seat.with_leader(&log, work);
        self.tell(log, moved);
    }

    /// The controller's answer to a proposed ISR.
    pub(in crate::node) fn handle_isr_verdict(&self, verdict: IsrVerdict, now: Instant) {
        if let Some(seat) = self.seat.as_deref().filter(|seat| seat.is_leading()) {
            self.lead_on(seat, |leader| leader.handle_isr_verdict(verdict, now));
        }
    }

    /// What the controller says of another node.
    pub(in crate::node) fn handle_standing(&self, node: NodeId, standing: Standing, now: Instant) {
        if let Some(seat) = self.seat.as_deref().filter(|seat| seat.is_leading()) {
            self.lead_on(seat, |leader| leader.handle_standing(node, standing, now));
        }
    }

    /// `min.insync.replicas` was changed.
    pub(in crate::node) fn handle_min_insync_replicas(&self, now: Instant) {
        let min_insync_replicas = self.settings.min_insync_replicas();
        if let Some(seat) = self.seat.as_deref().filter(|seat| seat.is_leading()) {
            self.lead_on(seat, |leader| leader.handle_min_insync_replicas(min_insync_replicas, now));
        }
    }

    /// What a leader has to do in time; when it wants to be asked again.
    pub(in crate::node) fn handle_leader_timeout(&self, now: Instant) -> Option<Instant> {
        let seat = self.seat.as_deref().filter(|seat| seat.is_leading())?;
        let due = |seat: &Seat| match &seat.state.lock().role {
            Role::Leader(leader) => Some(leader.poll_timeout()),
            Role::Absent | Role::Waiting | Role::Follower(_) => None,
        };
        if due(seat)? <= now {
            self.lead_on(seat, |leader| leader.handle_timeout(now));
        }
        if self.failure().is_some() {
            self.resign(seat);
            return Some(now + PROPOSAL_RETRY);
        }
        due(seat)
    }

    /// The log takes nothing any more: somebody else of those in sync is to lead.
    fn resign(&self, seat: &Seat) {
        let proposal = match &seat.state.lock().role {
            Role::Leader(leader) => leader.resignation(),
            Role::Absent | Role::Waiting | Role::Follower(_) => None,
        };
        self.spread(Moved { proposal, ..Moved::default() }, false);
    }

    /// Whether this node leads, and in the reign that a client follows (KIP-320).
    ///
    /// # Errors
    /// NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
    pub(in crate::node) fn check_reign(&self, clients: Option<LeaderEpoch>) -> Result<()> {
        let Some(seat) = &self.seat else { return Ok(()) };
        let mut state = seat.state.lock();
        let mine = state.leading(seat.me, self.id())?.leader_epoch();
        check_leader_epoch(clients, mine).map_err(|code| {
            let text = format!("{}: this is epoch {}, the client follows {clients:?}", self.id(), mine.0);
            Error::new(code, text)
        })
    }

    /// The least log start of all replicas alive; `None` while one of them has not fetched, or when this node does not lead.
    pub(in crate::node) fn low_watermark(&self) -> Option<Offset> {
        match &self.seat {
            None => self.offsets().ok().map(|offsets| offsets.log_start),
            Some(seat) => match &seat.state.lock().role {
                Role::Leader(leader) => leader.low_watermark(),
                Role::Absent | Role::Waiting | Role::Follower(_) => None,
            },
        }
    }

    /// How far this replica is and, where it leads, every other one.
    pub(crate) fn replica_states(&self) -> Vec<ReplicaProgress> {
        let Some(seat) = self.seat.as_ref().filter(|_| self.is_hosted()) else { return Vec::new() };
        let Ok(log) = self.log() else { return Vec::new() };
        let mine = facts(&log, self.must_flush_before_ack());
        let now = self.house.clock.monotonic();
        let state = seat.state.lock();
        let others = match &state.role {
            Role::Leader(leader) => leader.follower_states(now),
            Role::Follower(_) | Role::Waiting => Vec::new(),
            Role::Absent => return Vec::new(),
        };
        let me = ReplicaProgress {
            node: seat.me,
            log_start: mine.log_start,
            log_end: mine.log_end,
            vouched: mine.vouched,
            last_leader_epoch: log.latest_leader_epoch(),
            lag_records: mine.log_end.since(mine.vouched),
            lag: Some(Duration::ZERO),
            is_caught_up: true,
        };
        let others = others.into_iter().map(|other| ReplicaProgress {
            node: other.node,
            log_start: other.log_start,
            log_end: other.log_end,
            vouched: other.vouched,
            last_leader_epoch: None,
            lag_records: mine.log_end.since(other.vouched),
            lag: other.lag,
            is_caught_up: other.is_in_sync,
        });
        let mut all: Vec<ReplicaProgress> = others.chain([me]).collect();
        all.sort_by_key(|replica| replica.node);
        all
    }

    /// The in-sync replicas as their leader has them committed; `None` where another node leads.
    #[cfg(test)]
    pub(in crate::node) fn in_sync_replicas(&self) -> Option<Vec<NodeId>> {
        match &self.seat.as_ref()?.state.lock().role {
            Role::Leader(leader) => Some(leader.in_sync_replicas().to_vec()),
            Role::Absent | Role::Waiting | Role::Follower(_) => None,
        }
    }
}

/// How far one replica is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReplicaProgress {
    pub node: NodeId,
    pub log_start: Offset,
    pub log_end: Offset,
    pub vouched: Offset,
    /// The last epoch in its log; of another node's it is not known.
    pub last_leader_epoch: Option<LeaderEpoch>,
    /// Records of the leader's log that it does not vouch for.
    pub lag_records: u64,
    /// How long it has not been at the leader's end; `None` when it never was.
    pub lag: Option<Duration>,
    pub is_caught_up: bool,
}

/// Does what the leader asks for, as far as the log is concerned.
pub(super) fn carry_out(leader: &mut Leader, log: &Log) -> Moved {
    let mut moved = Moved::default();
    while let Some(output) = leader.poll_output() {
        match output {
            LeaderOutput::HighWatermarkAdvanced(to) => moved.watermark |= log.advance_high_watermark(to),
            LeaderOutput::ProposeIsr(proposal) => moved.proposal = Some(proposal),
        }
    }
    moved
}
