//! Rounds of raft: what became ready goes to the disk, to the others and to the image, in the order that keeps promises.

use super::codec::decode_records;
use super::membership::{conf_change, decode_seat, membership_of, Membership};
use super::quorum::{Quorum, QuorumOutput};
use super::raft_convert::{
    entry_from_raft, hard_state_from_raft, message_from_raft, node_of, raft_id, snapshot_from_raft,
};
use super::raft_message::{EntryKind, Persist, RaftEntry, RaftSnapshot, RaftVerb};
use super::raft_store::RaftStore;
use crate::error::Result;
use raft::eraftpb::Message;
use raft::{ProgressState, RawNode, StateRole};
use std::collections::BTreeMap;

/// A round of raft that is not durable yet.
pub(super) struct Unpersisted {
    pub number: u64,
    pub must_sync: bool,
    pub settles_reign: bool,
    pub messages: Vec<Message>,
    pub snapshot: Option<RaftSnapshot>,
}

impl Quorum {
    pub(super) fn drain(&mut self, raw: &mut RawNode<RaftStore>) -> Result<()> {
        loop {
            self.release(raw)?;
            if !raw.has_ready() {
                break;
            }
            let mut ready = raw.ready();
            let mut round = Unpersisted {
                number: ready.number(),
                must_sync: ready.must_sync(),
                settles_reign: false,
                messages: ready.take_persisted_messages(),
                snapshot: None,
            };
            let mut persist = Persist { number: round.number, must_sync: round.must_sync, ..Persist::default() };
            if !ready.snapshot().is_empty() {
                raw.mut_store().install(ready.snapshot().clone());
                round.snapshot = Some(snapshot_from_raft(ready.snapshot()));
                persist.snapshot.clone_from(&round.snapshot);
                persist.resets_log = true;
            }
            let entries = ready.take_entries();
            raw.mut_store().append(&entries);
            persist.entries = entries.iter().map(entry_from_raft).collect();
            if let Some(state) = ready.hs() {
                raw.mut_store().set_hard_state(state);
                persist.hard_state = Some(hard_state_from_raft(state));
                round.settles_reign = ready.must_sync();
            }
            // A leader need not wait for its own disk with its appends, but for the term that it leads in: the only voter of a
            // cluster elects itself in one step, and after a crash it would lead in the same term again.
            let reign_waits = round.settles_reign || self.unpersisted.iter().any(|r| r.must_sync && r.settles_reign);
            let urgent = ready.take_messages();
            if reign_waits {
                round.messages.extend(urgent);
            } else {
                self.send(urgent);
            }
            if persist.must_sync || persist.hard_state.is_some() {
                self.outputs.push_back(QuorumOutput::Persist(persist));
            }
            let committed = ready.take_committed_entries();
            raw.advance_append_async(ready);
            self.unpersisted.push_back(round);
            self.apply(raw, committed.iter().map(entry_from_raft))?;
        }
        if raw.store().poll_wants_snapshot() {
            self.outputs.push_back(QuorumOutput::SnapshotWanted);
        }
        Ok(())
    }

    /// Lets go what waited for rounds that are durable now.
    fn release(&mut self, raw: &mut RawNode<RaftStore>) -> Result<()> {
        while self.unpersisted.front().is_some_and(|round| !round.must_sync) {
            let Some(round) = self.unpersisted.pop_front() else { break };
            raw.on_persist_ready(round.number);
            if let Some(RaftSnapshot { index, voters, learners, records, .. }) = round.snapshot {
                let membership = Membership { voters, learners };
                self.memberships = BTreeMap::from([(index, membership.clone())]);
                let records = decode_records(&records)?;
                raw.advance_apply_to(index);
                self.outputs.push_back(QuorumOutput::SnapshotInstalled { index, records });
                self.outputs.push_back(QuorumOutput::MembershipChanged(membership));
            }
            self.send(round.messages);
        }
        Ok(())
    }

    /// Committed entries go out, changes of the voters take effect, and only then raft hears that they are applied.
    fn apply(&mut self, raw: &mut RawNode<RaftStore>, entries: impl Iterator<Item = RaftEntry>) -> Result<()> {
        for RaftEntry { index, term, kind, data } in entries {
            let mut records = Vec::new();
            match kind {
                EntryKind::Records if data.is_empty() => {}
                EntryKind::Records => records = decode_records(&data)?,
                EntryKind::Membership => {
                    let (node, seat) = decode_seat(&data)?;
                    // Refused by raft means refused on every node alike: nothing changes.
                    if let Ok(state) = raw.apply_conf_change(&conf_change(node, seat)) {
                        let membership = membership_of(&state);
                        // A leader that was voted out by an entry of its predecessor would lead for ever and take no proposals.
                        let me = raft_id(self.me);
                        if raw.raft.state == StateRole::Leader && !state.voters.contains(&me) {
                            raw.raft.become_follower(raw.raft.term, raft::INVALID_ID);
                        }
                        self.memberships.insert(index, membership.clone());
                        self.outputs.push_back(QuorumOutput::MembershipChanged(membership));
                    }
                }
            }
            self.outputs.push_back(QuorumOutput::Committed { index, term, records });
            raw.advance_apply_to(index);
        }
        Ok(())
    }

    fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            let Some((to, out)) = node_of(message.to).zip(message_from_raft(&message)) else { continue };
            if out.verb == RaftVerb::Snapshot {
                self.snapshots_sent.insert(message.to, 0);
            }
            self.outputs.push_back(QuorumOutput::Send { to, message: out });
        }
    }

    /// Raft waits for ever for a snapshot that was lost on its way, unless it is told.
    pub(super) fn retry_snapshots(&mut self) {
        let Some(raw) = &self.raw else { return };
        let patience = self.config.election_ticks;
        let waits = |id: &u64| raw.raft.prs().get(*id).is_some_and(|peer| peer.state == ProgressState::Snapshot);
        self.snapshots_sent.retain(|id, _| waits(id));
        self.snapshots_sent.values_mut().for_each(|ticks| *ticks += 1);
        let lost: Vec<u64> = self.snapshots_sent.iter().filter(|(_, t)| **t >= patience).map(|(id, _)| *id).collect();
        for id in lost {
            self.snapshots_sent.remove(&id);
            self.run(|raw| raw.report_snapshot(id, raft::SnapshotStatus::Failure));
        }
    }
}
