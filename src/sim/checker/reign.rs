//! Epochs, high watermarks, and what a leader and the members of the ISR must hold.

use super::facts::{Decision, Sighting};
use super::history::{History, Parting, Seen};
use super::newest;
use crate::sim::findings::{found, Checked};
use crate::storage::LogOffsets;
use crate::types::{LeaderEpoch, NodeId, Offset, TopicPartition};
use std::ops::Bound::{Excluded, Unbounded};

impl History {
    pub(super) fn handle_sighting(&mut self, sighting: &Sighting<'_>, flushes: bool) -> Checked {
        let Sighting { node, life, partition: name, offsets, .. } = *sighting;
        check_order(sighting)?;
        let before = self.seen.get(&node).copied().filter(|seen| seen.life == life);
        let mut seen = before.unwrap_or_default();
        if sighting.leader_epoch < seen.leader_epoch {
            let (now, then) = (sighting.leader_epoch.0, seen.leader_epoch.0);
            return found!(EpochBack, "{name} at {node}: leader epoch {now} after {then}");
        }
        let is_new_reign = sighting.leads && !(seen.leads && seen.leader_epoch == sighting.leader_epoch);
        if sighting.leads {
            let known = *self.leaders.entry(sighting.leader_epoch).or_insert(node);
            if known != node {
                return found!(TwoLeaders, "{name}: {known} and {node} lead in {:?}", sighting.leader_epoch);
            }
            if !is_new_reign && offsets.high_watermark < seen.offsets.high_watermark {
                let (now, then) = (offsets.high_watermark, seen.offsets.high_watermark);
                return found!(WatermarkBack, "{name} at {node}: high watermark {now} after {then} in one reign");
            }
        }
        seen.verified = seen.verified.min(offsets.log_end);
        let was = seen.offsets;
        seen = Seen { life, leader_epoch: sighting.leader_epoch, leads: sighting.leads, offsets, ..seen };
        self.seen.insert(node, seen);
        // What was not flushed when its disk failed, nobody can read there any more.
        if sighting.is_offline {
            return if sighting.leads { self.look_at_offline_leader(sighting) } else { Ok(()) };
        }
        if offsets.log_end < was.high_watermark {
            let (then, now, high_watermark) = (was.log_end, offsets.log_end, was.high_watermark);
            let text = format!("was cut from {then} to {now}, below its high watermark {high_watermark}");
            self.part(sighting, Parting { at: offsets.log_end, what: text })?;
        }
        if is_new_reign {
            self.check_holds(sighting, self.end_before(sighting.leader_epoch))?;
            if self.is_newest(sighting.leader_epoch) {
                // Whatever it holds is the partition from now on.
                self.wounds.remove(&node);
                self.floor = None;
            }
        }
        self.check_watermark(sighting)?;
        self.check_member(sighting, flushes)
    }

    /// What a leader of this epoch has to hold when it begins. One that was deposed before it heard of its election need not have
    /// what was committed after that.
    fn end_before(&self, leader_epoch: LeaderEpoch) -> Offset {
        let successor = self.successions.range((Excluded(leader_epoch), Unbounded)).next();
        successor.map_or(self.end(), |(_, end)| self.end().min(*end))
    }

    /// Whether nobody has heard of a later reign.
    fn is_newest(&self, leader_epoch: LeaderEpoch) -> bool {
        newest(&self.successions).is_none_or(|newest| leader_epoch >= newest)
    }

    fn look_at_offline_leader(&mut self, sighting: &Sighting<'_>) -> Checked {
        if self.stale.contains_key(&sighting.node) {
            return Ok(());
        }
        let LogOffsets { high_watermark, flushed, .. } = sighting.offsets;
        self.unseen_end = self.unseen_end.max(high_watermark);
        let readable = high_watermark.min(flushed);
        if readable > self.end() {
            self.extend(sighting.partition, sighting.node, sighting.log, readable)?;
        }
        Ok(())
    }

    fn check_watermark(&mut self, sighting: &Sighting<'_>) -> Checked {
        let Sighting { node, partition: name, .. } = *sighting;
        let high_watermark = sighting.offsets.high_watermark;
        self.check_holds(sighting, high_watermark.min(self.end()))?;
        if high_watermark <= self.end() || self.stale.contains_key(&node) {
            return Ok(());
        }
        let shows_unseen = !sighting.leads && high_watermark <= self.unseen_end;
        if shows_unseen || sighting.leads {
            self.extend(name, node, sighting.log, high_watermark)?;
            let end = self.end();
            self.seen.get_mut(&node).expect("entered before").verified = end;
            return Ok(());
        }
        let end = self.end();
        found!(
            ReadUncommitted,
            "{name} at {node}: the follower's high watermark is {high_watermark}, committed is {end}"
        )
    }

    /// Members of the ISR and eligible leader replicas hold everything that is committed; flushed, if that was promised.
    fn check_member(&mut self, sighting: &Sighting<'_>, flushes: bool) -> Checked {
        let Sighting { node, partition: name, offsets, .. } = *sighting;
        let is_member =
            self.decision.as_ref().is_some_and(|(_, decision)| decision.members().any(|member| member == node));
        let end = self.end();
        if !is_member || self.wounds.get(&node).is_some_and(|wound| wound.kept < end) {
            return Ok(());
        }
        self.check_holds(sighting, end)?;
        if flushes && offsets.flushed < end {
            return found!(NotDurable, "{name} at {node}: in sync, flushed to {}, committed is {end}", offsets.flushed);
        }
        Ok(())
    }

    /// The replica's log agrees with the account up to `to`.
    fn check_holds(&mut self, sighting: &Sighting<'_>, to: Offset) -> Checked {
        let start = self.entries.first_key_value().map_or(Offset::ZERO, |(base, _)| *base);
        let from = self.seen.get(&sighting.node).map_or(start, |seen| seen.verified.max(start));
        if from >= to {
            return Ok(());
        }
        match self.compare(sighting.log, from, to) {
            Ok(verified) => {
                self.seen.get_mut(&sighting.node).expect("seen before it is checked").verified = verified;
                Ok(())
            }
            Err(parting) => self.part(sighting, parting),
        }
    }

    /// A log contradicts the account.
    fn part(&mut self, sighting: &Sighting<'_>, Parting { at, what }: Parting) -> Checked {
        let Sighting { node, partition: name, .. } = *sighting;
        if self.is_stale_at(node, at) {
            return Ok(());
        }
        if self.floor.is_some_and(|floor| at >= floor) {
            // The newest leader's log is the partition now; whoever is not there yet will be.
            if sighting.leads && newest(&self.leaders) == Some(sighting.leader_epoch) {
                self.lose(node, at);
            }
            return Ok(());
        }
        let role = if sighting.leads { "leader" } else { "replica" };
        let (epoch, end) = (sighting.leader_epoch.0, self.end());
        found!(Lost, "{name}: {role} {node} in epoch {epoch}, committed is {end}; its log at {at} {what}")
    }

    pub(super) fn handle_decision(
        &mut self,
        offset: u64,
        name: &TopicPartition,
        decision: &Decision,
        is_registered: &dyn Fn(NodeId) -> bool,
    ) -> Checked {
        match &self.decision {
            Some((known, _)) if *known > offset => return Ok(()),
            Some((known, before)) if *known == offset && before != decision => {
                return found!(Diverged, "{name}: at metadata offset {offset} {before:?} and {decision:?}");
            }
            Some((_, before)) if before == decision => {}
            Some((_, before))
                if decision.leader_epoch < before.leader_epoch || decision.partition_epoch < before.partition_epoch =>
            {
                return found!(EpochBack, "{name}: {decision:?} after {before:?}");
            }
            _ => self.handle_members(decision, is_registered),
        }
        let end = self.end();
        self.successions.entry(decision.leader_epoch).or_insert(end);
        self.decision = Some((offset, decision.clone()));
        Ok(())
    }
}

fn check_order(sighting: &Sighting<'_>) -> Checked {
    let Sighting { node, partition: name, offsets, .. } = *sighting;
    if offsets.log_start <= offsets.high_watermark
        && offsets.high_watermark <= offsets.log_end
        && offsets.flushed <= offsets.log_end
    {
        return Ok(());
    }
    found!(WatermarkBack, "{name} at {node}: {offsets:?}")
}
