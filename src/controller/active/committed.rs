//! What the quorum has agreed on: it enters the image, and whoever asked for it hears so.

use super::{
    Active, Controller, ControllerOutput, ControllerResponse, Image, MetadataRecord, Pending, QuorumOutput, Reply,
    Sessions,
};
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::NodeId;

impl Controller {
    /// Takes out what the quorum has to say.
    pub(super) fn drain(&mut self, now: Instant) {
        while let Some(output) = self.quorum.poll_output() {
            match output {
                QuorumOutput::Persist(persist) => self.outputs.push_back(ControllerOutput::Persist(persist)),
                QuorumOutput::Send { to, message } => self.outputs.push_back(ControllerOutput::Send { to, message }),
                QuorumOutput::Committed { index, term, records } => self.handle_committed(index, term, &records, now),
                QuorumOutput::SnapshotInstalled { index, records } => self.handle_snapshot(index, &records),
                QuorumOutput::MembershipChanged(membership) => {
                    self.outputs.push_back(ControllerOutput::MembershipChanged(membership));
                }
                QuorumOutput::LeaderChanged { leader, term } => {
                    self.resign();
                    self.outputs.push_back(ControllerOutput::LeaderChanged { leader, term });
                }
                QuorumOutput::SnapshotWanted => self.write_snapshot(),
                QuorumOutput::Stopped(error) => {
                    self.resign();
                    self.outputs.push_back(ControllerOutput::Stopped(error));
                }
            }
        }
    }

    fn handle_committed(&mut self, index: u64, term: u64, records: &[MetadataRecord], now: Instant) {
        match self.image.apply_entry(index, records) {
            Ok(changes) => self.outputs.push_back(ControllerOutput::ImageChanged { offset: index, changes }),
            Err(error) => return self.quorum.handle_storage_error(error),
        }
        while self.pending.front().is_some_and(|pending| pending.proposal.index <= index) {
            let Some(done) = self.pending.pop_front() else { break };
            if done.proposal.term != term && done.proposal.index == index {
                // Cannot be while we lead: who replaced our entry leads now.
                self.answer_lost(done);
                continue;
            }
            self.outputs.extend(done.events.into_iter().map(ControllerOutput::Event));
            if let Some(asked) = done.asked {
                self.answer(asked, Ok(done.reply), index);
            }
        }
        if self.active.is_none() && self.quorum.is_leader() && term == self.quorum.term() {
            self.become_active(now);
        }
        if self.quorum.entries_since_snapshot(index) >= self.snapshot_entries {
            self.write_snapshot();
        }
    }

    /// The first entry of our own term is committed, and so is everything before it.
    fn become_active(&mut self, now: Instant) {
        let config = &self.config;
        let sessions = Sessions::fresh(&self.image, config.session_timeout, &self.unlinked, now);
        let rebalance_at = config.leader_imbalance_check_interval.map(|every| now + every);
        let sweep_at = now + config.unclean_leader_election_interval;
        self.active = Some(Active { image: self.image.clone(), sessions, rebalance_at, sweep_at });
    }

    fn handle_snapshot(&mut self, index: u64, records: &[MetadataRecord]) {
        match Image::from_records(index, records) {
            Ok(image) => {
                let changes = image.changes_since(&self.image);
                self.image = image;
                self.outputs.push_back(ControllerOutput::ImageChanged { offset: index, changes });
            }
            Err(error) => self.quorum.handle_storage_error(error),
        }
    }

    fn write_snapshot(&mut self) {
        // An image too large for a snapshot leaves a log that grows; nothing is lost.
        self.quorum.compact(self.image.offset(), &self.image.to_records()).unwrap_or(());
    }

    /// Not active any more: what was asked may or may not be committed by the next one.
    pub(super) fn resign(&mut self) {
        self.active = None;
        for pending in std::mem::take(&mut self.pending) {
            self.answer_lost(pending);
        }
    }

    pub(super) fn answer_lost(&mut self, pending: Pending) {
        if let Some(asked) = pending.asked {
            let message = "the controller changed while this was being committed; it may or may not have been";
            self.answer(asked, Err(Error::new(ErrorCode::NOT_CONTROLLER, message)), self.image.offset());
        }
    }

    pub(super) fn answer(&mut self, (to, request_id): (NodeId, u64), result: Result<Reply>, metadata_offset: u64) {
        let response = ControllerResponse { result, leader: self.quorum.leader(), metadata_offset };
        self.outputs.push_back(ControllerOutput::Reply { to, request_id, response });
    }
}
