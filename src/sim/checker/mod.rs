//! What must be true in every cluster, always and in the end.
//!
//! The checker is told what the nodes show and what the producers were answered, and keeps its own account of each partition: the list
//! of committed batches. Whoever first shows a batch below the high watermark of a leader writes it into that list; from then on
//! nobody may contradict it.
//!
//! One loss is excused: without `flush.messages=1` a power cut takes what was not flushed, and when every member of the ISR and of the
//! eligible leader replicas was not closed in order, what one of them has lost may be gone (`wounds`).

mod facts;
mod history;
mod reign;
#[cfg(test)]
mod tests;
mod wounds;

pub use facts::{Decision, ImageMark, ReadLog, Sighting};

use super::findings::{found, Checked};
use super::payload::{sound_end, RecordId};
use crate::storage::LogOffsets;
use crate::types::{LeaderEpoch, NodeId, Offset, TopicPartition};
use bytes::Bytes;
use history::History;
use std::collections::{BTreeMap, BTreeSet};

/// The account of one cluster.
pub struct Checker {
    /// Every topic has `flush.messages=1`: what is committed is on the platters of every member.
    flushes: bool,
    partitions: BTreeMap<TopicPartition, History>,
    /// Whose producers were told that they are not in the log.
    refused: BTreeSet<RecordId>,
    lives: BTreeMap<NodeId, Standing>,
    acked: u64,
    served: u64,
    losses_excused: u64,
}

/// How it is with a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    /// Lives, as this incarnation.
    Lives(u64),
    /// Was closed in order, as this incarnation, and has not begun to open since.
    Closed(u64),
}

/// How much there was to check.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Checks {
    pub committed: u64,
    pub acked: u64,
    pub served: u64,
    pub reigns: u64,
    pub losses_excused: u64,
}

impl Checker {
    pub fn new(flushes: bool) -> Checker {
        let (partitions, refused, lives) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Checker { flushes, partitions, refused, lives, acked: 0, served: 0, losses_excused: 0 }
    }

    /// A node shows its replica of a partition.
    pub fn handle_sighting(&mut self, sighting: &Sighting<'_>) -> Checked {
        let flushes = self.flushes;
        if !self.partitions.contains_key(sighting.partition) {
            self.partitions.insert(sighting.partition.clone(), History::default());
        }
        let history = self.partitions.get_mut(sighting.partition).expect("was put there");
        let losses = history.losses;
        history.handle_sighting(sighting, flushes)?;
        self.losses_excused += history.losses - losses;
        for id in history.take_new_records() {
            if self.refused.contains(&id) {
                return found!(FailedPresent, "{}: {id} was refused and is committed", sighting.partition);
            }
        }
        Ok(())
    }

    /// A node has heard this decision, the newest one or an older one. A replica that it does not keep by either it has removed, open or
    /// not, or is about to.
    pub fn handle_heard(&mut self, node: NodeId, partition: &TopicPartition, decision: &Decision) {
        let newest = self.decision(partition).unwrap_or(decision);
        if !decision.replicas.contains(&node) && !newest.replicas.contains(&node) {
            self.handle_gone(node, partition);
        }
    }

    /// The node has no replica of the partition any more.
    pub fn handle_gone(&mut self, node: NodeId, partition: &TopicPartition) {
        if let Some(history) = self.partitions.get_mut(partition) {
            history.seen.remove(&node);
        }
    }

    /// A node shows an image of the metadata: what was decided about a partition until then.
    pub fn handle_decision(&mut self, mark: &ImageMark, partition: &TopicPartition, decision: &Decision) -> Checked {
        let is_registered = |node: NodeId| match (self.lives.get(&node), mark.registered.get(&node)) {
            (Some(Standing::Lives(life) | Standing::Closed(life)), Some(registered)) => life == registered,
            _ => false,
        };
        let history = self.partitions.entry(partition.clone()).or_default();
        history.handle_decision(mark.offset, partition, decision, &is_registered)
    }

    /// A node begins to open: until it is closed in order, it is not.
    pub fn handle_start(&mut self, node: NodeId) {
        self.lives.remove(&node);
    }

    /// A node is open.
    pub fn handle_birth(&mut self, node: NodeId, incarnation: u64) {
        self.lives.insert(node, Standing::Lives(incarnation));
    }

    /// A node was closed in order: everything is on its platters, and its next life can prove it.
    pub fn handle_closed(&mut self, node: NodeId) {
        if let Some(Standing::Lives(incarnation)) = self.lives.get(&node).copied() {
            self.lives.insert(node, Standing::Closed(incarnation));
        }
    }

    /// A node dies. What it did in its last moments nobody has seen: its log may have been cut by then, and to where.
    pub fn handle_last_look(&mut self, node: NodeId, partition: &TopicPartition, offsets: LogOffsets) {
        let Some(history) = self.partitions.get_mut(partition) else { return };
        if let Some(seen) = history.seen.get_mut(&node) {
            seen.offsets.flushed = seen.offsets.flushed.min(offsets.flushed);
            seen.offsets.log_end = seen.offsets.log_end.min(offsets.log_end);
        }
    }

    /// A node was killed, and its machine goes on: it has lost nothing, but nobody can know that.
    pub fn handle_kill(&mut self, node: NodeId) {
        if matches!(self.lives.get(&node), Some(Standing::Closed(_))) {
            return;
        }
        self.lives.remove(&node);
        if !self.flushes {
            self.partitions.values_mut().for_each(|history| history.wound(node, None));
        }
    }

    /// A node has no power. `log_of` answers what is left of a log. Tells how much of which logs is sound.
    pub fn handle_power_cut(
        &mut self,
        node: NodeId,
        log_of: impl Fn(&TopicPartition) -> Vec<u8>,
    ) -> Checked<Vec<(TopicPartition, Offset)>> {
        let flushes = self.flushes;
        let is_closed = matches!(self.lives.get(&node), Some(Standing::Closed(_)));
        let mut sound = Vec::new();
        for (partition, history) in &mut self.partitions {
            let Some(seen) = history.seen.get(&node) else { continue };
            let start = seen.offsets.log_start.0;
            let kept = Offset(sound_end(&log_of(partition), start, |_| {}));
            sound.push((partition.clone(), kept));
            if kept < seen.offsets.flushed {
                let flushed = seen.offsets.flushed;
                return found!(NotDurable, "{partition} at {node}: {flushed} was flushed, {kept} is left");
            }
            if !flushes && !is_closed {
                history.wound(node, Some(kept));
            }
        }
        Ok(sound)
    }

    /// A producer was told by this node that the records from this one on lie from `offset` on, replicated.
    pub fn handle_acked(
        &mut self,
        node: NodeId,
        partition: &TopicPartition,
        first: RecordId,
        offset: Offset,
    ) -> Checked {
        self.acked += 1;
        let history = self.partitions.entry(partition.clone()).or_default();
        if history.is_stale_at(node, offset) {
            return Ok(()); // and lost since
        }
        history.acked.insert(offset, first);
        history.check_acked(partition, first, offset)
    }

    /// A producer was told that these records are not in the log.
    pub fn handle_refused(&mut self, first: RecordId, count: usize) {
        self.refused.extend((first.number..).take(count).map(|number| RecordId { number, ..first }));
    }

    /// A reader was served these batches.
    pub fn handle_served(&mut self, node: NodeId, partition: &TopicPartition, batches: &Bytes) -> Checked {
        self.served += 1;
        self.partitions.entry(partition.clone()).or_default().check_served(node, partition, batches)
    }

    /// Where the committed records of a partition end.
    #[must_use]
    pub fn committed_end(&self, partition: &TopicPartition) -> Offset {
        self.partitions.get(partition).map_or(Offset::ZERO, History::end)
    }

    /// Whether a partition has lost what it was allowed to lose.
    #[must_use]
    pub fn is_lossy(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(|history| history.losses > 0)
    }

    /// What was last decided about a partition.
    #[must_use]
    pub fn decision(&self, partition: &TopicPartition) -> Option<&Decision> {
        self.partitions.get(partition)?.decision.as_ref().map(|(_, decision)| decision)
    }

    #[must_use]
    pub fn partitions(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// In the end: a replica that has caught up holds what is committed, everything of it and nothing else.
    pub fn check_whole(&self, node: NodeId, partition: &TopicPartition, log: &dyn ReadLog) -> Checked {
        match self.partitions.get(partition) {
            Some(history) => history.check_whole(node, partition, log),
            None => Ok(()),
        }
    }

    /// In the end: every acknowledged record is still there.
    pub fn check_all_acked(&self) -> Checked {
        for (partition, history) in &self.partitions {
            for (offset, first) in &history.acked {
                history.check_acked(partition, *first, *offset)?;
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn checks(&self) -> Checks {
        let sum = |of: fn(&History) -> u64| self.partitions.values().map(of).sum();
        Checks {
            committed: sum(|history| history.entries.len() as u64),
            acked: self.acked,
            served: self.served,
            reigns: sum(|history| history.leaders.len() as u64),
            losses_excused: self.losses_excused,
        }
    }
}

/// The newest epoch first.
pub(super) fn newest<T>(by_epoch: &BTreeMap<LeaderEpoch, T>) -> Option<LeaderEpoch> {
    by_epoch.last_key_value().map(|(epoch, _)| *epoch)
}
