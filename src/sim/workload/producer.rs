//! One producer of one partition: a batch at a time, sent again for as long as nobody knows what became of it, if it has a producer id.

use crate::error::ErrorCode;
use crate::record::SealedBatch;
use crate::sim::payload::{batch, RecordId};
use crate::sim::plan::ProducerPlan;
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId, Offset, ProducerStamp, Timestamp, TopicPartition};

pub struct Producer {
    pub id: u32,
    pub plan: ProducerPlan,
    pub partition: TopicPartition,
    /// Whom it asks who leads.
    pub home: Option<NodeId>,
    /// The newest reign that it has met; it goes to no leader of an older one (KIP-320).
    pub leader_epoch: LeaderEpoch,
    number_next: u64,
    /// Counts the producer ids that it has had.
    incarnation: u32,
    sequence_next: i32,
    pub attempt: Option<Attempt>,
}

/// A batch whose fate is open.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub first: RecordId,
    fillings: Vec<usize>,
    stamp: Option<ProducerStamp>,
    at: Timestamp,
    /// It may be in a log: somebody took it and did not say what became of it.
    pub may_be_there: bool,
    pub waiting: Option<Waiting>,
}

/// Appended by a leader, and not yet acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub node: NodeId,
    pub life: u64,
    pub leader_epoch: LeaderEpoch,
    pub base: Offset,
    pub end: Offset,
    pub since: Instant,
}

/// What came of an attempt, or of one way of trying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Acked,
    /// It is not there.
    Refused,
    /// It may be there.
    Unknown,
}

impl Producer {
    pub fn new(id: u32, plan: ProducerPlan, partition: TopicPartition) -> Producer {
        let (home, leader_epoch, attempt) = (None, LeaderEpoch::default(), None);
        Producer { id, plan, partition, home, leader_epoch, number_next: 0, incarnation: 0, sequence_next: 0, attempt }
    }

    /// The batch that is to be sent next: the one whose fate is open, or a new one.
    pub fn next_batch(&mut self, rng: &mut fastrand::Rng, now: Timestamp) -> SealedBatch {
        if self.attempt.is_none() {
            let fillings: Vec<usize> = (0..rng.usize(1..=3)).map(|_| rng.usize(0..120)).collect();
            let first = RecordId { producer: self.id, number: self.number_next };
            let stamp = self.plan.is_idempotent.then(|| ProducerStamp {
                id: i64::from(self.id) * 1_000 + i64::from(self.incarnation) + 1,
                epoch: 0,
                base_sequence: Some(self.sequence_next),
            });
            self.number_next += fillings.len() as u64;
            self.sequence_next += i32::try_from(fillings.len()).expect("a few records");
            self.attempt = Some(Attempt { first, fillings, stamp, at: now, may_be_there: false, waiting: None });
        }
        let attempt = self.attempt.as_ref().expect("made just now");
        batch(attempt.first, &attempt.fillings, attempt.stamp, attempt.at)
    }

    /// One try is over. Answers what is certain now about the batch; `None` while it will be tried again.
    pub fn handle_outcome(&mut self, outcome: Outcome) -> Option<(RecordId, usize, Outcome)> {
        let attempt = self.attempt.as_mut()?;
        attempt.waiting = None;
        attempt.may_be_there |= outcome == Outcome::Unknown;
        // With a producer id trying again is safe, and without it nobody would dare.
        if self.plan.is_idempotent && outcome != Outcome::Acked {
            return None;
        }
        let attempt = self.attempt.take()?;
        Some((attempt.first, attempt.fillings.len(), outcome))
    }

    /// Gives up a batch, and goes on as a new producer: sequences that were lost cannot be made up for.
    pub fn start_anew(&mut self) {
        self.attempt = None;
        self.incarnation += 1;
        self.sequence_next = 0;
    }
}

impl Outcome {
    /// What a refused append means; `None` for an error that no append may have.
    pub fn of_error(code: ErrorCode) -> Option<Outcome> {
        match code {
            ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::REPLICA_NOT_AVAILABLE
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::CLOSED => Some(Outcome::Refused),
            ErrorCode::KAFKA_STORAGE_ERROR => Some(Outcome::Unknown),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Acks;
    use std::time::Duration;

    fn producer(is_idempotent: bool) -> Producer {
        let plan = ProducerPlan { acks: Acks::All, is_idempotent, pause: Duration::ZERO };
        Producer::new(7, plan, TopicPartition::new("t", 0))
    }

    #[test]
    fn a_producer_with_an_id_sends_the_same_batch_until_it_is_acknowledged() {
        let (mut producer, mut rng) = (producer(true), fastrand::Rng::with_seed(1));
        let first = producer.next_batch(&mut rng, Timestamp(1));
        for outcome in [Outcome::Refused, Outcome::Unknown, Outcome::Refused] {
            assert_eq!(producer.handle_outcome(outcome), None);
            assert_eq!(producer.next_batch(&mut rng, Timestamp(9)).bytes(), first.bytes());
        }
        assert!(producer.attempt.as_ref().expect("still open").may_be_there);
        assert_eq!(producer.handle_outcome(Outcome::Acked).map(|(_, _, outcome)| outcome), Some(Outcome::Acked));
        let second = producer.next_batch(&mut rng, Timestamp(9));
        let sequence = |batch: &SealedBatch| batch.header().producer.and_then(|stamp| stamp.base_sequence);
        assert_eq!(sequence(&first), Some(0));
        assert_eq!(sequence(&second), Some(i32::try_from(first.header().last_offset_delta + 1).expect("few")));
    }

    #[test]
    fn a_producer_without_an_id_never_sends_a_record_twice() {
        let (mut producer, mut rng) = (producer(false), fastrand::Rng::with_seed(1));
        let mut seen = Vec::new();
        for outcome in [Outcome::Refused, Outcome::Unknown, Outcome::Acked] {
            producer.next_batch(&mut rng, Timestamp(1));
            seen.push(producer.handle_outcome(outcome).expect("over"));
        }
        assert!(seen.windows(2).all(|pair| pair[0].0.number + pair[0].1 as u64 == pair[1].0.number));
    }
}
