//! A node of the model: what `node/` does around the cores, with a list for a log.

use super::elector::Metadata;
use super::world::{Message, Settings};
use crate::error::ErrorCode;
use crate::replication::tests::list_log::{entries_of, Entry, ListLog};
use crate::replication::{
    check_leader_epoch, AckVerdict, FetchOutcome, FetchRequest, FetchResponse, FetchVerdict, Fetching, Follower,
    FollowerSetup, FollowerStep, Leader, LeaderOutput, LeaderSetup, NodeEpoch, Settled,
};
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset};
use std::time::Duration;

pub enum Role {
    /// Down, or up and without news of a leader.
    None,
    Leader(Leader),
    Follower(Follower),
}

/// A producer that waits for its `acks=all`.
pub struct Waiter {
    pub admitted: LeaderEpoch,
    pub offset: u64,
    pub entry: Entry,
}

pub struct Node {
    pub id: NodeId,
    pub node_epoch: NodeEpoch,
    pub is_up: bool,
    pub is_paused: bool,
    pub log: ListLog,
    pub role: Role,
    pub high_watermark: Offset,
    pub high_watermark_checkpoint: Offset,
    pub version: u64,
    pub leader_epoch: Option<LeaderEpoch>,
    pub waiters: Vec<Waiter>,
    pub acked: Vec<Waiter>,
    /// It crashed and lost what it had vouched for, and the controller does not know yet.
    pub has_lost_vouched: bool,
    pub truncations: usize,
    pub restarts_at: usize,
    pub outbox: Vec<Message>,
}

impl Node {
    pub fn new(id: NodeId, vouches_flushed: bool) -> Node {
        Node {
            id,
            node_epoch: NodeEpoch(1),
            is_up: true,
            is_paused: false,
            log: ListLog { vouches_flushed, ..ListLog::default() },
            role: Role::None,
            high_watermark: Offset::ZERO,
            high_watermark_checkpoint: Offset::ZERO,
            version: 0,
            leader_epoch: None,
            waiters: Vec::new(),
            acked: Vec::new(),
            has_lost_vouched: false,
            truncations: 0,
            restarts_at: 0,
            outbox: Vec::new(),
        }
    }

    pub fn leader(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    /// Dies; recovery will find the log up to `end`.
    pub fn crash(&mut self, end: u64) {
        self.log.crash(end);
        self.is_up = false;
        self.is_paused = false;
        self.role = Role::None;
        self.leader_epoch = None;
        self.waiters.clear();
        self.high_watermark = self.high_watermark_checkpoint.clamp(Offset(self.log.start), Offset(self.log.end()));
    }

    pub fn handle_metadata(&mut self, metadata: &Metadata, settings: &Settings, now: Instant) {
        if metadata.version <= self.version {
            return;
        }
        self.version = metadata.version;
        if Some(metadata.leader_epoch) > self.leader_epoch {
            self.leader_epoch = Some(metadata.leader_epoch);
            self.begin_reign(metadata, settings, now);
        }
        if let Role::Leader(leader) = &mut self.role {
            leader.handle_partition(&metadata.state, settings.min_isr, now);
            for (node, standing) in &metadata.standings {
                leader.handle_standing(*node, *standing, now);
            }
        }
        self.settle();
    }

    fn begin_reign(&mut self, metadata: &Metadata, settings: &Settings, now: Instant) {
        self.waiters.clear(); // NOT_LEADER_OR_FOLLOWER
        let high_watermark = self.high_watermark;
        let leader_epoch = metadata.leader_epoch;
        self.role = match metadata.leader {
            None => Role::None,
            Some(leader) if leader == self.id => {
                let setup = LeaderSetup {
                    me: self.id,
                    node_epoch: self.node_epoch,
                    leader_epoch,
                    partition: metadata.state.clone(),
                    min_insync_replicas: settings.min_isr,
                    replica_lag_time_max: settings.lag_max,
                    log: self.log.facts(),
                    high_watermark,
                };
                self.log.assign(leader_epoch.0, self.log.end());
                Role::Leader(Leader::new(setup, now))
            }
            Some(leader) => Role::Follower(Follower::new(FollowerSetup {
                leader,
                leader_epoch,
                log: self.log.facts(),
                high_watermark,
                bytes_max: settings.records_max,
                fetch_backoff: Duration::from_millis(40),
                correlation_last: Default::default(),
                request_timeout: Duration::from_millis(200),
            })),
        };
    }

    /// A producer appends here; the record is written if this node believes that it leads.
    pub fn append(&mut self, acks: Acks, value: u64, now: Instant) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Ok(admitted) = leader.admit(acks) else { return };
        let entry = Entry { epoch: admitted.0, value };
        let offset = self.log.end();
        self.log.append(&[entry]);
        leader.handle_log(self.log.facts(), now);
        if acks == Acks::All {
            self.waiters.push(Waiter { admitted, offset, entry });
        }
        self.settle();
    }

    pub fn flush(&mut self, now: Instant) {
        self.log.flush();
        self.tell_log(now);
    }

    pub fn retain(&mut self, start: u64, now: Instant) {
        if start <= self.high_watermark.0 && self.leader().is_some() {
            self.log.raise_start(start);
            self.tell_log(now);
        }
    }

    fn tell_log(&mut self, now: Instant) {
        if let Role::Leader(leader) = &mut self.role {
            leader.handle_log(self.log.facts(), now);
        }
        self.settle();
    }

    pub fn tick(&mut self, now: Instant) {
        match &mut self.role {
            Role::Leader(leader) => leader.handle_timeout(now),
            Role::Follower(follower) => {
                if let Some(request) = follower.poll_fetch(self.log.facts(), self.log.latest_epoch(), now) {
                    let (from, to, node_epoch) = (self.id, follower.leader(), self.node_epoch);
                    self.outbox.push(Message::Fetch { from, to, node_epoch, request });
                }
            }
            Role::None => {}
        }
        self.settle();
    }

    pub fn handle_fetch(&mut self, from: NodeId, node_epoch: NodeEpoch, request: &FetchRequest, now: Instant) {
        let response = match &mut self.role {
            Role::Leader(leader) => {
                let epoch_end = request.last_fetched_epoch.and_then(|epoch| self.log.end_offset_for(epoch));
                let fetching = Fetching { from, node_epoch, log: self.log.facts(), epoch_end };
                let outcome = match leader.handle_fetch(fetching, request, now) {
                    FetchVerdict::Serve { from, bytes_max } => {
                        FetchOutcome::Records(self.log.read(from, bytes_max as usize))
                    }
                    FetchVerdict::Diverged { epoch, end_offset } => FetchOutcome::Diverging { epoch, end_offset },
                    FetchVerdict::Refuse(code) => FetchOutcome::Error(code),
                };
                leader.respond(request, outcome)
            }
            Role::Follower(_) | Role::None => {
                let Some(mine) = self.leader_epoch else { return };
                let fenced = check_leader_epoch(request.current_leader_epoch, mine);
                FetchResponse::refusal(request, mine, fenced.err().unwrap_or(ErrorCode::NOT_LEADER_OR_FOLLOWER))
            }
        };
        self.outbox.push(Message::Response { from: self.id, to: from, response });
        self.settle();
    }

    pub fn handle_response(&mut self, from: NodeId, response: FetchResponse, now: Instant) -> Result<(), String> {
        let Role::Follower(follower) = &mut self.role else { return Ok(()) };
        let local_end = response.diverging_epoch().and_then(|epoch| self.log.end_offset_for(epoch));
        let settled = match follower.handle_response(from, response, self.log.facts(), local_end, now) {
            FollowerStep::Idle | FollowerStep::BackOff(_) | FollowerStep::Stop => return Ok(()),
            FollowerStep::Settled(settled) => settled,
            FollowerStep::Append { at, records } => {
                assert_eq!(at.0, self.log.end());
                self.log.append(&entries_of(records));
                follower.handle_appended(self.log.facts())
            }
            FollowerStep::Truncate { to, below_high_watermark } => {
                if below_high_watermark {
                    return Err(format!("{} cuts to {to}, below its high watermark {}", self.id, self.high_watermark));
                }
                self.log.truncate(to);
                self.truncations += 1;
                follower.handle_truncated(self.log.facts())
            }
            FollowerStep::RestartAt { log_start } => {
                self.log.restart_at(log_start);
                self.restarts_at += 1;
                follower.handle_truncated(self.log.facts())
            }
            FollowerStep::Failed(error) => return Err(format!("{} failed: {error}", self.id)),
        };
        let Settled { high_watermark, log_start } = settled;
        self.high_watermark = high_watermark;
        self.log.raise_start(log_start.0);
        Ok(())
    }

    /// Carries out what the core asks for, and answers producers.
    pub fn settle(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        self.high_watermark = leader.high_watermark();
        while let Some(output) = leader.poll_output() {
            match output {
                LeaderOutput::HighWatermarkAdvanced(end) => assert_eq!(end, self.high_watermark),
                LeaderOutput::ProposeIsr(proposal) => self.outbox.push(Message::Propose { from: self.id, proposal }),
            }
        }
        let judge = |waiter: &Waiter| leader.judge_ack(waiter.admitted, Offset(waiter.offset + 1));
        let (waiting, told): (Vec<_>, Vec<_>) =
            self.waiters.drain(..).partition(|waiter| judge(waiter) == AckVerdict::Wait);
        self.acked.extend(told.into_iter().filter(|waiter| judge(waiter) == AckVerdict::Done));
        self.waiters = waiting;
    }
}
