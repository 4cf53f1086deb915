//! What programs want of the cluster, carried out.

use super::{Checked, Event, World};
use crate::error::ErrorCode;
use crate::replication::AckVerdict;
use crate::sim::findings::found;
use crate::sim::workload::{Admin, Outcome, Waiting, Wanted};
use crate::storage::{Fetch, UpTo};
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, TopicPartition};
use std::collections::BTreeSet;
use std::time::Duration;

/// A producer that waits for longer takes the outcome for unknown.
const PATIENCE: Duration = Duration::from_millis(1_500);

impl World {
    /// A producer's turn.
    pub(super) fn produce(&mut self, index: usize) -> Checked {
        let pause = self.workload.producers[index].plan.pause.as_micros();
        let pause = u64::try_from(pause).expect("short") * 2 / 1_000 + 1;
        let producer = &self.workload.producers[index];
        if let Some(waiting) = producer.attempt.as_ref().and_then(|attempt| attempt.waiting) {
            if self.now.since(waiting.since) > PATIENCE {
                self.conclude(index, Outcome::Unknown)?;
            }
        } else if producer.attempt.is_some() || !self.is_healing {
            self.try_to_append(index)?;
        }
        // Whoever was refused waits a little.
        let was_refused = self.workload.producers[index].home.is_none();
        let pause = if self.is_healing || was_refused { pause.max(20) } else { pause };
        self.plan_in_ms(0..pause, Event::Produce(index));
        Ok(())
    }

    fn try_to_append(&mut self, index: usize) -> Checked {
        let Some(leader) = self.find_leader(index) else { return Ok(()) };
        let at = super::machine::wall_time(self.now);
        let producer = &mut self.workload.producers[index];
        let mut batch = producer.next_batch(&mut self.rng, at);
        let (partition, acks) = (producer.partition.clone(), producer.plan.acks);
        let first = producer.attempt.as_ref().expect("made for this batch").first;
        let now = self.now;
        let Some(appended) = self.visit(leader, |member, _| member.append(&partition, &mut batch, acks)) else {
            return Ok(());
        };
        match appended {
            Ok(appended) => {
                self.trace.note(
                    now,
                    format_args!(
                        "{first} appended to {partition} at {leader}: {}..{} in epoch {}{}",
                        appended.base,
                        appended.end,
                        appended.leader_epoch.0,
                        if appended.is_duplicate { ", again" } else { "" }
                    ),
                );
                let life = self.machines[&leader].lives;
                let waiting = Waiting {
                    node: leader,
                    life,
                    leader_epoch: appended.leader_epoch,
                    base: appended.base,
                    end: appended.end,
                    since: now,
                };
                let producer = &mut self.workload.producers[index];
                producer.leader_epoch = appended.leader_epoch;
                producer.attempt.as_mut().expect("as above").waiting = Some(waiting);
                self.after(leader)?;
                if self.rng.u8(..4) == 0 {
                    self.plan_in_ms(0..20, Event::Flush(index));
                    return Ok(());
                }
                self.flush(index)
            }
            Err(error) => {
                self.trace.note(now, format_args!("{first} not appended at {leader}: {error}"));
                self.after(leader)?;
                self.handle_refusal(index, &error)
            }
        }
    }

    fn handle_refusal(&mut self, index: usize, error: &crate::error::Error) -> Checked {
        let producer = &mut self.workload.producers[index];
        producer.home = None;
        if error.code() == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER && producer.plan.is_idempotent {
            if !self.checker.is_lossy(&producer.partition) {
                return found!(Reordered, "{}: p{}: {error}", producer.partition, producer.id);
            }
            producer.start_anew();
            return Ok(());
        }
        match Outcome::of_error(error.code()) {
            Some(outcome) => self.conclude(index, outcome),
            None => found!(BadAnswer, "{}: an append is answered {error}", producer.partition),
        }
    }

    /// The node that leads according to a node that the producer asks.
    fn find_leader(&mut self, index: usize) -> Option<NodeId> {
        let alive = self.alive();
        if alive.is_empty() {
            return None;
        }
        let producer = &mut self.workload.producers[index];
        let home = producer.home.filter(|home| alive.contains(home));
        let home = home.unwrap_or_else(|| alive[self.rng.usize(..alive.len())]);
        producer.home = Some(home);
        let partition = producer.partition.clone();
        let leader = self.visit(home, |member, _| member.leader(&partition)).flatten();
        let newest = self.workload.producers[index].leader_epoch;
        let leader = leader.filter(|leader| alive.contains(leader) && !self.was_deposed(*leader, &partition, newest));
        if leader.is_none() {
            self.workload.producers[index].home = None;
        }
        leader
    }

    /// Whether a node leads in a reign older than this one, as it would tell whoever named it.
    fn was_deposed(&self, node: NodeId, partition: &TopicPartition, newest: LeaderEpoch) -> bool {
        let life = self.machines[&node].life.as_ref();
        let replica = life.and_then(|life| life.kept.get(partition));
        replica.is_some_and(|replica| replica.leads && replica.leader_epoch < newest)
    }

    /// What the acknowledgement waits for on the leader itself.
    pub(super) fn flush(&mut self, index: usize) -> Checked {
        let producer = &self.workload.producers[index];
        let Some(waiting) = producer.attempt.as_ref().and_then(|attempt| attempt.waiting) else { return Ok(()) };
        let (partition, acks) = (producer.partition.clone(), producer.plan.acks);
        if self.machines[&waiting.node].life.as_ref().is_none_or(|life| life.number != waiting.life) {
            return Ok(());
        }
        let Some(flushed) = self.visit(waiting.node, |member, _| member.flush_for_ack(&partition, waiting.end)) else {
            return Ok(());
        };
        self.after(waiting.node)?;
        // It may be over by now, and another one under way.
        let is_same = |now: Waiting| (now.node, now.life, now.base) == (waiting.node, waiting.life, waiting.base);
        let attempt = self.workload.producers[index].attempt.as_ref();
        if !attempt.and_then(|attempt| attempt.waiting).is_some_and(is_same) {
            return Ok(());
        }
        match flushed {
            Ok(()) if acks == Acks::All => Ok(()),
            // What one node says without asking the others may be lost with its leadership.
            Ok(()) | Err(_) => self.conclude(index, Outcome::Unknown),
        }
    }

    /// Looks which acknowledgements have come about on a node.
    pub(super) fn settle_acks(&mut self, node: NodeId) -> Checked {
        let Some(life) = &self.machines[&node].life else { return Ok(()) };
        let (number, member) = (life.number, life.member.clone());
        for index in 0..self.workload.producers.len() {
            let producer = &self.workload.producers[index];
            let waiting = producer.attempt.as_ref().and_then(|attempt| attempt.waiting);
            let Some(waiting) = waiting.filter(|waiting| (waiting.node, waiting.life) == (node, number)) else {
                continue;
            };
            if producer.plan.acks != Acks::All {
                continue;
            }
            match member.judge_ack(&producer.partition, waiting.leader_epoch, waiting.end) {
                Ok(AckVerdict::Wait) => {}
                Ok(AckVerdict::Done) => {
                    let first = producer.attempt.as_ref().expect("it waits").first;
                    let partition = producer.partition.clone();
                    let kept = self.machines[&node].life.as_ref().and_then(|life| life.kept.get(&partition));
                    if kept.is_some_and(|replica| replica.is_offline) {
                        return found!(AckedTooEarly, "{partition}: {first} by {node}, whose disk has failed");
                    }
                    self.trace.note(self.now, format_args!("{first} acknowledged at {} by {node}", waiting.base));
                    self.checker.handle_acked(node, &partition, first, waiting.base)?;
                    self.conclude(index, Outcome::Acked)?;
                }
                Ok(AckVerdict::NotEnoughReplicasAfterAppend | AckVerdict::NotLeader) | Err(_) => {
                    self.conclude(index, Outcome::Unknown)?;
                }
            }
        }
        Ok(())
    }

    /// A node is dead: whoever waits for its answer does not get one.
    pub(super) fn forget_waiting(&mut self, node: NodeId) {
        for producer in &mut self.workload.producers {
            let waiting = producer.attempt.as_ref().and_then(|attempt| attempt.waiting);
            if waiting.is_some_and(|waiting| waiting.node == node) {
                producer.handle_outcome(Outcome::Unknown);
            }
        }
    }

    fn conclude(&mut self, index: usize, outcome: Outcome) -> Checked {
        let producer = &mut self.workload.producers[index];
        if let Some((first, count, Outcome::Refused)) = producer.handle_outcome(outcome) {
            self.trace.note(self.now, format_args!("{first} and {} more are refused", count - 1));
            self.checker.handle_refused(first, count);
        }
        Ok(())
    }

    /// A reader's turn.
    pub(super) fn read(&mut self, index: usize) -> Checked {
        self.plan_in_ms(1..40, Event::Read(index));
        let alive = self.alive();
        let reader = &mut self.workload.readers[index];
        let Some(home) = reader.prepare(&alive, &mut self.rng) else { return Ok(()) };
        let (partition, from) = (reader.partition.clone(), reader.position);
        let bytes_max = self.rng.usize(1..8_000);
        let fetch = Fetch { from, bytes_max, up_to: UpTo::HighWatermark, min_one_message: true };
        let Some(fetched) = self.visit(home, |member, _| member.read(&partition, fetch)) else { return Ok(()) };
        self.after(home)?;
        match fetched {
            Ok(batches) => {
                self.checker.handle_served(home, &partition, &batches)?;
                let end = crate::record::batches(&batches).flatten().last();
                let end = end.map_or(from, |(_, view)| view.header().end_offset());
                self.workload.readers[index].position = end.max(from);
                if !batches.is_empty() {
                    self.trace.note(self.now, format_args!("reader {index} at {home}, {partition}: {from}..{end}"));
                }
            }
            // A follower that lags, a replica that is not there.
            Err(error) => {
                let (at, code) = (self.now, error.code());
                self.trace.note(at, format_args!("reader {index} at {home}, {partition} from {from}: {code}"));
                if error.code() == ErrorCode::CORRUPT_MESSAGE {
                    return found!(Corrupt, "{partition} at {home}: {error}");
                }
                self.workload.readers[index].position = Offset::ZERO;
            }
        }
        Ok(())
    }

    /// The administrator's turn: sees to it that the topics are made.
    pub(super) fn administrate(&mut self) -> Checked {
        self.plan_in_ms(200..600, Event::Administrate);
        let found: BTreeSet<_> = self.checker.partitions().into_iter().collect();
        self.workload.admin.handle_found(&found);
        match self.workload.admin.next_creation() {
            Some((request, note)) => self.ask(request, note),
            None => Ok(()),
        }
    }

    /// Asks for a change of some partition.
    pub(super) fn ask_for(&mut self, wanted: Wanted) -> Checked {
        let partitions = self.checker.partitions();
        if partitions.is_empty() {
            return Ok(());
        }
        let partition = &partitions[self.rng.usize(..partitions.len())];
        let Some(decision) = self.checker.decision(partition).cloned() else { return Ok(()) };
        let (request, note) = self.workload.admin.next_change(wanted, partition, &decision, &mut self.rng);
        self.ask(request, note)
    }

    /// Makes a node the preferred leader of a partition, and then its leader.
    pub(super) fn prefer(&mut self, partition: &TopicPartition, first: NodeId) -> Checked {
        let Some(decision) = self.checker.decision(partition) else { return Ok(()) };
        let request = Admin::prefer(partition, decision, first);
        self.plan_in_ms(1..20, Event::Elect(partition.clone()));
        self.ask(request, Box::new(|| ()))
    }

    pub(super) fn elect(&mut self, partition: &TopicPartition) -> Checked {
        self.ask(Admin::elect(partition), Box::new(|| ()))
    }

    fn ask(&mut self, request: crate::controller::ControllerRequest, note: Box<dyn FnOnce() + Send>) -> Checked {
        let alive = self.alive();
        if alive.is_empty() {
            return Ok(());
        }
        let home = alive[self.rng.usize(..alive.len())];
        self.trace.note(self.now, format_args!("asked at {home}: {request:?}"));
        let (trace, at) = (self.trace.clone(), self.now);
        let answer = Box::new(move |outcome: crate::error::Result<()>| {
            trace.note(at, format_args!("what was asked at {home} then is answered: {outcome:?}"));
            if outcome.is_ok() {
                note();
            }
        });
        self.visit(home, |member, now| member.ask(request, now, answer));
        self.after(home)
    }
}
