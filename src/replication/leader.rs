//! One reign of a partition's leader: follower progress, high watermark, ISR, fetch verdicts.
//!
//! It is told about its log, the fetches and the controller's word, and answers; it reads nothing itself. Telling it of an append and
//! handling a fetch allocate nothing, unless the ISR changes.
//!
//! The node calls it under the partition's lock. Its log does not shrink while it reigns; seeing that is a panic, because
//! followers may already have acknowledged what is gone.

use super::facts::{FollowerState, IsrMember, IsrProposal, IsrVerdict, LogFacts, NodeEpoch, PartitionState, Standing};
use super::isr::Isr;
use super::message::{check_leader_epoch, FetchOutcome, FetchRequest, FetchResponse};
use super::progress::Progress;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset};
use std::time::Duration;

mod membership;

/// What a reign begins with.
#[derive(Clone, Debug)]
pub struct LeaderSetup {
    pub me: NodeId,
    pub node_epoch: NodeEpoch,
    pub leader_epoch: LeaderEpoch,
    pub partition: PartitionState,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// `replica.lag.time.max.ms`.
    pub replica_lag_time_max: Duration,
    /// The log at this moment; the epoch begins at its end.
    pub log: LogFacts,
    /// As this node knew it before; never lowered, except to the log end.
    pub high_watermark: Offset,
}

/// What is to be done about a fetch. The node holds the partition's lock and reads the log next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchVerdict {
    /// Send what lies from here on, nothing if that is the log end.
    Serve {
        from: Offset,
        bytes_max: u32,
    },
    /// Send no records but where the logs part.
    Diverged {
        epoch: LeaderEpoch,
        end_offset: Offset,
    },
    Refuse(ErrorCode),
}

/// Where the records of an `acks=all` stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AckVerdict {
    Wait,
    /// Below the high watermark.
    Done,
    /// Below the high watermark and visible, but the ISR has become too small since (NOT_ENOUGH_REPLICAS_AFTER_APPEND).
    NotEnoughReplicasAfterAppend,
    /// Appended in another reign: what became of it, this one cannot tell (NOT_LEADER_OR_FOLLOWER).
    NotLeader,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaderOutput {
    /// To be published; acknowledgements and readers may be waiting for it.
    HighWatermarkAdvanced(Offset),
    /// To be sent to the controller, whose answer comes back by [`Leader::handle_isr_verdict`]. May be lost, it is sent again.
    ProposeIsr(IsrProposal),
}

/// Who fetches, and what only the node can look up for it.
#[derive(Clone, Copy, Debug)]
pub struct Fetching {
    pub from: NodeId,
    pub node_epoch: NodeEpoch,
    /// The leader's log now, before it is read.
    pub log: LogFacts,
    /// What the leader's epoch cache answers to `end_offset_for(request.last_fetched_epoch)`; `None` also when that is `None`.
    pub epoch_end: Option<(LeaderEpoch, Offset)>,
}

#[derive(Debug)]
pub struct Leader {
    me: NodeId,
    node_epoch: NodeEpoch,
    leader_epoch: LeaderEpoch,
    epoch_start: Offset,
    replica_count: usize,
    min_insync_replicas: u32,
    replica_lag_time_max: Duration,
    /// Every replica but this one, ascending.
    followers: Vec<Progress>,
    isr: Isr,
    log: LogFacts,
    high_watermark: Offset,
    high_watermark_told: Offset,
    shrink_at: Instant,
}

impl Leader {
    /// # Panics
    /// When the ISR is without this node, or the log's ends are out of order.
    #[must_use]
    pub fn new(setup: LeaderSetup, now: Instant) -> Leader {
        setup.log.check();
        let high_watermark = setup.high_watermark.clamp(setup.log.log_start, setup.log.log_end);
        let mut leader = Leader {
            me: setup.me,
            node_epoch: setup.node_epoch,
            leader_epoch: setup.leader_epoch,
            epoch_start: setup.log.log_end,
            replica_count: 0,
            min_insync_replicas: setup.min_insync_replicas,
            replica_lag_time_max: setup.replica_lag_time_max,
            followers: Vec::new(),
            isr: Isr::new(&setup.partition),
            log: setup.log,
            high_watermark,
            high_watermark_told: high_watermark,
            shrink_at: now,
        };
        leader.shrink_at = now + leader.shrink_interval();
        leader.assign(setup.partition.replicas, now);
        leader.advance(now);
        leader
    }

    /// The log has moved: after an append, after a flush, after retention or DeleteRecords raised its start.
    ///
    /// # Panics
    /// When the log has shrunk.
    pub fn handle_log(&mut self, log: LogFacts, now: Instant) {
        self.hear_log(log);
        self.advance(now);
    }

    /// A follower's fetch: a claim of how far it is, and a question. If the claim is sound it counts from here on, even if the
    /// leader then fails to read its log.
    pub fn handle_fetch(&mut self, fetching: Fetching, request: &FetchRequest, now: Instant) -> FetchVerdict {
        let verdict = self.reread_fetch(fetching, request);
        self.hear_log(fetching.log);
        // Without a reign it may be a leftover of an earlier one, from before the follower truncated.
        if matches!(verdict, FetchVerdict::Serve { .. }) && request.current_leader_epoch.is_some() {
            let follower = self.follower_mut(fetching.from).expect("the verdict has found it");
            if follower.handle_fetch(fetching.node_epoch, request, fetching.log.log_end, now) {
                self.expand(fetching.from, now);
                self.advance(now);
            }
        }
        verdict
    }

    /// The same fetch, looked at again after waiting for more bytes: judged anew, but it says nothing new about the follower.
    #[must_use]
    pub fn reread_fetch(&self, fetching: Fetching, request: &FetchRequest) -> FetchVerdict {
        self.judge_fetch(fetching, request).unwrap_or_else(FetchVerdict::Refuse)
    }

    fn judge_fetch(&self, fetching: Fetching, fetch: &FetchRequest) -> std::result::Result<FetchVerdict, ErrorCode> {
        check_leader_epoch(fetch.current_leader_epoch, self.leader_epoch)?;
        let Some(follower) = self.follower(fetching.from) else {
            // It follows this very reign, so the controller has made it a replica and we have not heard of it.
            let hears_later = fetch.current_leader_epoch.is_some();
            return Err(if hears_later { ErrorCode::UNKNOWN_LEADER_EPOCH } else { ErrorCode::NOT_LEADER_OR_FOLLOWER });
        };
        if follower.is_over(fetching.node_epoch) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        // Records without an epoch cannot be compared with ours.
        let is_comparable = fetch.last_fetched_epoch.is_some() || fetch.log_start == fetch.fetch_offset;
        if fetch.vouched > fetch.fetch_offset || fetch.log_start > fetch.fetch_offset || !is_comparable {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let log = fetching.log;
        if let Some(last_fetched) = fetch.last_fetched_epoch {
            let (epoch, end_offset) = fetching.epoch_end.ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?;
            if fetch.fetch_offset >= log.log_start && (epoch < last_fetched || end_offset < fetch.fetch_offset) {
                return Ok(FetchVerdict::Diverged { epoch, end_offset });
            }
        }
        if fetch.fetch_offset < log.log_start || fetch.fetch_offset > log.log_end {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        Ok(FetchVerdict::Serve { from: fetch.fetch_offset, bytes_max: fetch.bytes_max })
    }

    /// The answer to a fetch, once its outcome is known.
    #[must_use]
    pub fn respond(&self, request: &FetchRequest, outcome: FetchOutcome) -> FetchResponse {
        FetchResponse::new(request, self.leader_epoch, self.high_watermark, self.log, outcome)
    }

    /// The controller's answer to a proposal; one that answers an older proposal is ignored.
    pub fn handle_isr_verdict(&mut self, verdict: IsrVerdict, now: Instant) {
        if verdict.leader_epoch == self.leader_epoch
            && self.isr.handle_verdict(verdict.proposed_upon, verdict.outcome, now)
        {
            self.know_members(now);
            self.advance(now);
        }
    }

    /// Newer state of the partition within this reign: other replicas, another ISR, and the `min.insync.replicas` that goes with it: who
    /// has left an ISR that is too small by it may be elected, so nothing is to be committed by an older one any more. Older state is
    /// ignored.
    pub fn handle_partition(&mut self, state: &PartitionState, min_insync_replicas: u32, now: Instant) {
        self.min_insync_replicas = min_insync_replicas;
        if self.isr.handle_state(state) {
            self.assign(state.replicas.clone(), now);
            self.advance(now);
        }
    }

    /// What the controller says of a node, whenever it says so; at the beginning of a reign and after
    /// [`handle_partition`](Leader::handle_partition) once for every replica.
    pub fn handle_standing(&mut self, node: NodeId, standing: Standing, now: Instant) {
        if let Some(follower) = self.follower_mut(node) {
            follower.handle_standing(standing);
            self.advance(now);
        }
    }

    /// `min.insync.replicas` was changed.
    pub fn handle_min_insync_replicas(&mut self, min_insync_replicas: u32, now: Instant) {
        self.min_insync_replicas = min_insync_replicas;
        self.advance(now);
    }

    /// What is due: members that lag leave the ISR, a proposal without an answer is sent again.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.isr.handle_timeout(now);
        if now >= self.shrink_at {
            self.shrink_at = now + self.shrink_interval();
            self.shrink(now);
        }
        // Somebody for whom the high watermark waited to let him join may have fallen behind.
        self.advance(now);
    }

    /// When [`handle_timeout`](Leader::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        self.isr.poll_timeout().map_or(self.shrink_at, |retry_at| retry_at.min(self.shrink_at))
    }

    pub fn poll_output(&mut self) -> Option<LeaderOutput> {
        if self.high_watermark > self.high_watermark_told {
            self.high_watermark_told = self.high_watermark;
            return Some(LeaderOutput::HighWatermarkAdvanced(self.high_watermark));
        }
        let (partition_epoch, in_sync_replicas) = self.isr.poll_proposal()?;
        let leader_epoch = self.leader_epoch;
        Some(LeaderOutput::ProposeIsr(IsrProposal { leader_epoch, partition_epoch, in_sync_replicas }))
    }

    /// Whether an append with these acks may begin, and the epoch to stamp it with.
    ///
    /// # Errors
    /// NOT_ENOUGH_REPLICAS with `acks=all` while the committed ISR is smaller than `min.insync.replicas`; nothing is to be written.
    pub fn admit(&self, acks: Acks) -> Result<LeaderEpoch> {
        if acks == Acks::All && self.is_under_min_isr() {
            return Err(Error::new(ErrorCode::NOT_ENOUGH_REPLICAS, self.describe_shortage()));
        }
        Ok(self.leader_epoch)
    }

    /// Where an `acks=all` stands that [`admit`](Leader::admit) let in under `admitted`, and whose records end at `end`.
    #[must_use]
    pub fn judge_ack(&self, admitted: LeaderEpoch, end: Offset) -> AckVerdict {
        if admitted != self.leader_epoch {
            AckVerdict::NotLeader
        } else if end > self.high_watermark {
            AckVerdict::Wait
        } else if self.isr.maximal().len() < self.effective_min_isr() {
            AckVerdict::NotEnoughReplicasAfterAppend
        } else {
            AckVerdict::Done
        }
    }

    /// The end of what clients may be told exists (ListOffsets latest, or by a time past everything).
    ///
    /// # Errors
    /// OFFSET_NOT_AVAILABLE until the high watermark has reached the start of this epoch: it may still be below what the leader
    /// before has shown.
    pub fn latest_offset(&self) -> Result<Offset> {
        if self.high_watermark < self.epoch_start {
            let Leader { high_watermark, epoch_start, leader_epoch: LeaderEpoch(epoch), .. } = self;
            let text =
                format!("high watermark {high_watermark} has not reached {epoch_start}, where epoch {epoch} begins");
            return Err(Error::new(ErrorCode::OFFSET_NOT_AVAILABLE, text));
        }
        Ok(self.high_watermark)
    }

    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// What to propose when this replica can lead no more, because its log has failed: the ISR without it, one of which then leads. `None`
    /// while there is nobody else, or while another change is in flight.
    #[must_use]
    pub fn resignation(&self) -> Option<IsrProposal> {
        if self.isr.is_in_flight() {
            return None;
        }
        let others = self.isr.committed().iter().filter(|node| **node != self.me);
        let in_sync_replicas: Vec<_> = others.map(|&node| IsrMember { node, node_epoch: None }).collect();
        let (leader_epoch, partition_epoch) = (self.leader_epoch, self.isr.partition_epoch());
        (!in_sync_replicas.is_empty()).then_some(IsrProposal { leader_epoch, partition_epoch, in_sync_replicas })
    }

    /// The committed ISR, ascending.
    #[must_use]
    pub fn in_sync_replicas(&self) -> &[NodeId] {
        self.isr.committed()
    }

    /// Everybody who may be in the ISR while a change is in flight, ascending.
    #[must_use]
    pub fn maximal_in_sync_replicas(&self) -> &[NodeId] {
        self.isr.maximal()
    }

    /// The lowest log start of all replicas that are not fenced: where DeleteRecords has arrived everywhere. `None` while one of
    /// them has not fetched.
    #[must_use]
    pub fn low_watermark(&self) -> Option<Offset> {
        let mut alive = self.followers.iter().filter(|follower| !follower.standing().is_fenced);
        alive.try_fold(self.log.log_start, |lowest, follower| Some(lowest.min(follower.log_start()?)))
    }

    /// How far every follower is, by number, as its last fetch of this reign said.
    #[must_use]
    pub fn follower_states(&self, now: Instant) -> Vec<FollowerState> {
        let lag_time_max = self.replica_lag_time_max;
        self.followers.iter().filter_map(|follower| follower.state(self.log.log_end, now, lag_time_max)).collect()
    }

    fn hear_log(&mut self, log: LogFacts) {
        log.check();
        assert!(log.log_end >= self.log.log_end, "log end {} was {} in this reign", log.log_end, self.log.log_end);
        // Two threads may tell of their flushes in the other order.
        let vouched = log.vouched.max(self.log.vouched);
        self.log = LogFacts { log_start: log.log_start.max(self.log.log_start), vouched, ..log };
    }

    /// Raises the high watermark to what everybody vouches for who is, or is about to be, in sync. Not while the ISR is too small:
    /// whoever left it then still has everything committed, and may be elected (KIP-966).
    fn advance(&mut self, now: Instant) {
        if self.is_under_min_isr() {
            return;
        }
        let mut end = self.log.vouched;
        for follower in &self.followers {
            if self.isr.maximal().contains(&follower.node()) || self.is_about_to_join(follower, now) {
                let Some(vouched) = follower.vouched() else { return };
                end = end.min(vouched);
            }
        }
        self.high_watermark = self.high_watermark.max(end);
        let (high_watermark, log_end) = (self.high_watermark, self.log.log_end);
        assert!(high_watermark <= log_end, "high watermark {high_watermark} past log end {log_end}");
    }

    /// The high watermark must not run away from somebody who has caught up, or he could never join.
    fn is_about_to_join(&self, follower: &Progress, now: Instant) -> bool {
        follower.is_eligible() && follower.is_in_sync(self.log.log_end, now, self.replica_lag_time_max)
    }

    fn follower(&self, node: NodeId) -> Option<&Progress> {
        self.followers.iter().find(|follower| follower.node() == node)
    }

    fn follower_mut(&mut self, node: NodeId) -> Option<&mut Progress> {
        self.followers.iter_mut().find(|follower| follower.node() == node)
    }

    fn effective_min_isr(&self) -> usize {
        self.replica_count.min(self.min_insync_replicas as usize)
    }

    fn is_under_min_isr(&self) -> bool {
        self.isr.committed().len() < self.effective_min_isr()
    }

    fn shrink_interval(&self) -> Duration {
        (self.replica_lag_time_max / 2).max(Duration::from_millis(1))
    }
}
