//! The metadata quorum: the `raft` crate's `RawNode` behind `handle_*` and `poll_output`. Pre-vote and check-quorum are on.
//!
//! The node writes what [`QuorumOutput::Persist`] says, fsyncs, and calls [`Quorum::handle_persisted`]; a vote or an acknowledgement
//! leaves only after that. Entries come out as `Committed` once a majority has them on disk. A log that cannot be written or makes no
//! sense stops this node's quorum for good: it neither votes nor acknowledges until it is opened again.

use super::codec::{decode_records, encode_records};
use super::membership::{conf_change, encode_seat, membership_of, Membership};
use super::metadata::MetadataRecord;
use super::raft_convert::{message_to_raft, node_of, raft_id, snapshot_to_raft};
use super::raft_message::{
    HardState, Persist, RaftMessage, RaftSnapshot, RaftVerb, Restored, ENTRY_BYTES_MAX, SNAPSHOT_BYTES_MAX,
};
use super::raft_store::RaftStore;
use super::request::{NodeSeat, QuorumProgress};
use super::rounds::Unpersisted;
use super::timing::{QuorumConfig, Timing};
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::NodeId;
use bytes::Bytes;
use raft::{RawNode, StateRole};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Where a proposal will stand in the log if it is committed: an entry of another term at that index means that it was not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ProposalId {
    pub index: u64,
    pub term: u64,
}

/// What the quorum wants done, in this order.
#[derive(Debug)]
pub(crate) enum QuorumOutput {
    Persist(Persist),
    Send {
        to: NodeId,
        message: RaftMessage,
    },
    /// A majority has it. Every index comes, in order; those of the quorum itself without records.
    Committed {
        index: u64,
        term: u64,
        records: Vec<MetadataRecord>,
    },
    /// The image is to be replaced: this node lagged too far behind.
    SnapshotInstalled {
        index: u64,
        records: Vec<MetadataRecord>,
    },
    MembershipChanged(Membership),
    LeaderChanged {
        leader: Option<NodeId>,
        term: u64,
    },
    /// Somebody needs a snapshot newer than ours: call [`Quorum::compact`].
    SnapshotWanted,
    /// This node's quorum is over; nothing more comes.
    Stopped(Error),
}

/// One node's part in the quorum.
pub(crate) struct Quorum {
    pub(super) me: NodeId,
    pub(super) config: QuorumConfig,
    /// `None` once it is stopped.
    pub(super) raw: Option<RawNode<RaftStore>>,
    pub(super) timing: Timing,
    pub(super) outputs: VecDeque<QuorumOutput>,
    pub(super) unpersisted: VecDeque<Unpersisted>,
    /// Who votes from which index on; the first one is that of the snapshot.
    pub(super) memberships: BTreeMap<u64, Membership>,
    leader: (Option<NodeId>, u64),
    /// Followers that were sent a snapshot, and for how many ticks nothing came of it.
    pub(super) snapshots_sent: BTreeMap<u64, usize>,
}

impl Quorum {
    /// What the first voters of a new cluster put on their disks before they open: all the same. A node that joins later begins with
    /// [`Restored::default`].
    pub fn bootstrap(voters: &[NodeId]) -> Restored {
        let mut voters = voters.to_vec();
        voters.sort_unstable();
        let records = encode_records(&[]).into();
        let snapshot = RaftSnapshot { index: 1, term: 1, voters, learners: Vec::new(), records };
        let hard_state = HardState { term: 1, vote: None, commit: 1 };
        Restored { hard_state, snapshot: Some(snapshot), entries: Vec::new() }
    }

    /// Opens with what the node found on its disk. `seed` decides its election time-outs. Committed entries behind the snapshot come out again.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR: what was found does not fit together.
    pub fn open(me: NodeId, config: QuorumConfig, restored: &Restored, seed: u64, now: Instant) -> Result<Quorum> {
        let store = RaftStore::restore(restored)?;
        let (applied, membership) = (store.snapshot_now().get_metadata().index, membership_of(store.conf_state()));
        let settings = raft::Config {
            id: raft_id(me),
            election_tick: config.election_ticks,
            heartbeat_tick: config.heartbeat_ticks,
            applied,
            max_size_per_msg: config.message_bytes,
            max_inflight_msgs: 64,
            check_quorum: true,
            pre_vote: true,
            max_uncommitted_size: config.uncommitted_bytes_max,
            ..raft::Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let opened = catch_unwind(AssertUnwindSafe(|| RawNode::new(&settings, store, &logger)));
        let failed = |why: String| Error::fatal(ErrorCode::KAFKA_STORAGE_ERROR, format!("metadata quorum: {why}"));
        let raw = opened.map_err(|_| failed("the log makes no sense".into()))?.map_err(|e| failed(e.to_string()))?;
        let mut quorum = Quorum {
            me,
            timing: Timing::new(&config, seed, now),
            config,
            leader: (None, raw.raft.term),
            raw: Some(raw),
            outputs: VecDeque::new(),
            unpersisted: VecDeque::new(),
            memberships: BTreeMap::from([(applied, membership)]),
            snapshots_sent: BTreeMap::new(),
        };
        quorum.run(|_| ());
        Ok(quorum)
    }

    /// A message of another node. What makes no sense is dropped; what proves that this node lost entries stops it.
    pub fn handle_message(&mut self, from: NodeId, message: &RaftMessage) {
        let Some(raw) = &self.raw else { return };
        let last = raw.store().last().0.max(raw.raft.raft_log.last_index());
        if message.term >= raw.raft.term && message.verb == RaftVerb::Heartbeat && message.commit > last {
            let why = format!(
                "node {from} knows entries up to {} of us, ours end at {last}: the log lost some",
                message.commit
            );
            return self.stop(Error::fatal(ErrorCode::KAFKA_STORAGE_ERROR, why));
        }
        let acknowledges_too_much = message.verb == RaftVerb::AppendResponse && !message.reject && message.index > last;
        if from == self.me || acknowledges_too_much || !is_sane(message) {
            return;
        }
        let message = message_to_raft(from, self.me, message);
        // Messages of strangers and of old terms are refused inside; the network may bring both at any time.
        self.run(|raw| raw.step(message).unwrap_or(()));
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.timing.poll_tick(now) {
            return;
        }
        let is_leader = self.is_leader();
        // Whoever waits for its own disk does not stand for election: raft assumes that a new leader's log is durable.
        if !is_leader && self.unpersisted.iter().any(|round| round.must_sync) {
            return;
        }
        self.run(|raw| {
            raw.tick();
        });
        self.retry_snapshots();
    }

    /// When to call [`handle_timeout`](Quorum::handle_timeout) next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.raw.as_ref().map(|_| self.timing.poll_timeout())
    }

    /// Everything up to this number is durable.
    pub fn handle_persisted(&mut self, number: u64) {
        for round in self.unpersisted.iter_mut().take_while(|round| round.number <= number) {
            round.must_sync = false;
        }
        self.run(|_| ());
    }

    /// The log could not be written: this node's quorum is over.
    pub fn handle_storage_error(&mut self, error: Error) {
        self.stop(error.into_fatal());
    }

    /// Proposes records as one entry.
    ///
    /// # Errors
    /// NOT_CONTROLLER; MESSAGE_TOO_LARGE; REQUEST_TIMED_OUT: too much waits to be committed already.
    pub fn propose(&mut self, records: &[MetadataRecord]) -> Result<ProposalId> {
        let data = encode_records(records);
        if data.len() > ENTRY_BYTES_MAX {
            let message = format!("{} bytes of metadata records, at most {ENTRY_BYTES_MAX} are one entry", data.len());
            return Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, message));
        }
        self.propose_with(|raw| raw.propose(Vec::new(), data))
    }

    /// Proposes another seat for one node; one change at a time.
    ///
    /// # Errors
    /// NOT_CONTROLLER; REASSIGNMENT_IN_PROGRESS: the last change is not committed yet; INVALID_REQUEST: nobody would vote.
    pub fn propose_seat(&mut self, node: NodeId, seat: NodeSeat) -> Result<ProposalId> {
        let voters = &self.membership().voters;
        if seat != NodeSeat::Voter && voters.iter().all(|voter| *voter == node) {
            return Err(Error::new(ErrorCode::INVALID_REQUEST, format!("node {node} is the last voter")));
        }
        if self.raw.as_ref().is_some_and(|raw| raw.raft.has_pending_conf()) {
            let message = "the last change of the voters is not committed yet";
            return Err(Error::new(ErrorCode::REASSIGNMENT_IN_PROGRESS, message));
        }
        let context = encode_seat(node, seat);
        self.propose_with(|raw| raw.propose_conf_change(context, conf_change(node, seat)))
    }

    fn propose_with(
        &mut self,
        propose: impl FnOnce(&mut RawNode<RaftStore>) -> raft::Result<()>,
    ) -> Result<ProposalId> {
        let not_controller = || Error::new(ErrorCode::NOT_CONTROLLER, "this node does not lead the metadata quorum");
        if !self.is_leader() {
            return Err(not_controller());
        }
        let proposed = self.run(|raw| {
            let proposed = propose(raw);
            proposed.map(|()| ProposalId { index: raw.raft.raft_log.last_index(), term: raw.raft.term })
        });
        proposed.ok_or_else(not_controller)?.map_err(|error| {
            Error::new(ErrorCode::REQUEST_TIMED_OUT, format!("the metadata quorum takes no more for now: {error}"))
        })
    }

    /// Asks another voter to take over.
    pub fn transfer_leadership(&mut self, to: NodeId) {
        self.run(|raw| raw.transfer_leader(raft_id(to)));
    }

    /// Replaces the entries up to `index`, which was committed and whose image these are.
    ///
    /// # Errors
    /// MESSAGE_TOO_LARGE: the image is larger than a snapshot may be; the log goes on growing.
    pub fn compact(&mut self, index: u64, image: &[MetadataRecord]) -> Result<()> {
        let Some(raw) = &mut self.raw else { return Ok(()) };
        if index <= raw.store().snapshot_now().get_metadata().index || index > raw.raft.raft_log.applied() {
            return Ok(());
        }
        let records = Bytes::from(encode_records(image));
        if records.len() > SNAPSHOT_BYTES_MAX {
            let message = format!("an image of {} bytes, at most {SNAPSHOT_BYTES_MAX} are a snapshot", records.len());
            return Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, message));
        }
        let (from, membership) =
            self.memberships.range(..=index).next_back().map(|(at, m)| (*at, m.clone())).unwrap_or_default();
        self.memberships.retain(|at, _| *at >= from);
        let Ok(term) = raw.raft.raft_log.term(index) else { return Ok(()) };
        let Membership { voters, learners } = membership;
        let snapshot = RaftSnapshot { index, term, voters, learners, records };
        raw.mut_store().compact(snapshot_to_raft(&snapshot));
        self.outputs.push_back(QuorumOutput::Persist(Persist { snapshot: Some(snapshot), ..Persist::default() }));
        Ok(())
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<QuorumOutput> {
        self.outputs.pop_front()
    }

    pub fn is_leader(&self) -> bool {
        self.raw.as_ref().is_some_and(|raw| raw.raft.state == StateRole::Leader)
    }

    pub fn term(&self) -> u64 {
        self.leader.1
    }

    pub fn leader(&self) -> Option<NodeId> {
        self.leader.0
    }

    #[cfg(test)]
    pub fn is_stopped(&self) -> bool {
        self.raw.is_none()
    }

    /// Who votes now, as far as this node has applied the log.
    pub fn membership(&self) -> &Membership {
        self.memberships.values().next_back().expect("there is always one")
    }

    /// How far everybody's log is, by number, as the leader knows; empty elsewhere.
    pub fn replicas(&self) -> Vec<QuorumProgress> {
        let Some(raw) = self.raw.as_ref().filter(|_| self.is_leader()) else { return Vec::new() };
        let voters = &self.membership().voters;
        let all = raw.raft.prs().iter().filter_map(|(id, progress)| {
            let node = node_of(*id)?;
            Some(QuorumProgress { node, log_end: progress.matched + 1, is_voter: voters.contains(&node) })
        });
        let mut all: Vec<QuorumProgress> = all.collect();
        all.sort_unstable_by_key(|replica| replica.node);
        all
    }

    /// The index after the last entry, committed or not: where the next proposal will stand.
    pub fn index_next(&self) -> u64 {
        self.raw.as_ref().map_or(0, |raw| raw.raft.raft_log.last_index() + 1)
    }

    /// Entries since the last snapshot.
    pub fn entries_since_snapshot(&self, index: u64) -> u64 {
        self.raw.as_ref().map_or(0, |raw| index.saturating_sub(raw.store().snapshot_now().get_metadata().index))
    }

    /// One call into raft and everything that follows from it. A panic in there ends the quorum, not the host.
    pub(super) fn run<T>(&mut self, call: impl FnOnce(&mut RawNode<RaftStore>) -> T) -> Option<T> {
        let mut raw = self.raw.take()?;
        let done = catch_unwind(AssertUnwindSafe(|| {
            let value = call(&mut raw);
            self.timing.settle(&mut raw);
            self.drain(&mut raw)?;
            self.timing.settle(&mut raw);
            Ok::<T, Error>(value)
        }));
        match done {
            Ok(Ok(value)) => {
                self.note_leader(&raw);
                self.raw = Some(raw);
                Some(value)
            }
            Ok(Err(error)) => {
                self.stop(error.into_fatal());
                None
            }
            Err(panic) => {
                let why = panic.downcast_ref::<String>().map_or("an assertion failed", String::as_str);
                self.stop(Error::fatal(ErrorCode::KAFKA_STORAGE_ERROR, format!("metadata quorum: {why}")));
                None
            }
        }
    }

    fn note_leader(&mut self, raw: &RawNode<RaftStore>) {
        let now = (node_of(raw.raft.leader_id), raw.raft.term);
        if self.leader != now {
            self.leader = now;
            self.outputs.push_back(QuorumOutput::LeaderChanged { leader: now.0, term: now.1 });
        }
    }

    fn stop(&mut self, error: Error) {
        self.raw = None;
        self.unpersisted.clear();
        self.leader.0 = None;
        // Nothing may leave any more that was not durable; what was committed is committed.
        self.outputs.retain(|output| matches!(output, QuorumOutput::Committed { .. }));
        self.outputs.push_back(QuorumOutput::Stopped(error));
    }
}

fn is_sane(message: &RaftMessage) -> bool {
    let mut expected = message.index + 1;
    let in_order = message.entries.iter().all(|entry| {
        expected += 1;
        entry.index + 1 == expected && entry.term <= message.term && entry.term >= message.log_term
    });
    let has_snapshot = message.snapshot.is_some() == (message.verb == RaftVerb::Snapshot);
    let readable = message.snapshot.as_ref().is_none_or(|snapshot| decode_records(&snapshot.records).is_ok());
    in_order && has_snapshot && readable
}
