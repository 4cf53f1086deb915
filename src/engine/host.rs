//! The engine as its producers see it.

use super::core::Core;
use crate::config::TopicOverrides;
use crate::error::{Error, ErrorCode, Result};
use crate::node::{Alarm, Grouped, LogLevel, Partition, Topic};
use crate::producer::{Appended, Host, HostPartition, HostTopic, Judgement, Wakeable};
use crate::record::SealedBatch;
use crate::time::{Clock, Instant};
use crate::types::{Acks, LeaderEpoch, Offset, Rung};
use std::sync::{Arc, Weak};

impl Host for Core {
    fn clock(&self) -> &Arc<dyn Clock> {
        self.node.clock()
    }

    fn topic(&self, name: &str) -> Result<Arc<dyn HostTopic>> {
        self.check()?;
        #[cfg(feature = "quorum")]
        if let Some(member) = self.node.member() {
            return self.replicated_topic(name, member);
        }
        if let Some(topic) = self.node.topic(name) {
            return Ok(topic);
        }
        let config = self.node.config();
        if config.creates_topics {
            match self.node.create_topic(name, config.partitions_default, 1, &TopicOverrides::new()) {
                Err(e) if e.code() != ErrorCode::TOPIC_ALREADY_EXISTS => return Err(e),
                Ok(()) | Err(_) => {} // somebody else may have been faster
            }
        }
        match self.node.topic(name) {
            Some(topic) => Ok(topic),
            None => {
                let text = format!("there is no topic {name:?}, and auto.create.topics.enable is off");
                Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text))
            }
        }
    }

    fn register(&self, producer: Weak<dyn Wakeable>) {
        self.timer.register(producer);
    }

    fn wake_by(&self, when: Instant) {
        self.timer.wake_by(when);
    }

    fn call_back(&self, callback: Box<dyn FnOnce() + Send>) {
        self.callbacks.run(callback);
    }

    fn log_warning(&self, line: &str) {
        self.node.notice(LogLevel::Warn, "producer", || line.to_owned());
    }

    fn refusal(&self) -> Option<Error> {
        self.check().err()
    }
}

impl HostTopic for Topic {
    fn partition_count(&self) -> u32 {
        Topic::partition_count(self)
    }

    fn partition(&self, partition: u32) -> Result<Arc<dyn HostPartition>> {
        match Topic::partition(self, partition) {
            Some(found) => Ok(found),
            None => {
                let text =
                    format!("{} has {} partitions, there is no {partition}", self.name(), self.partition_count());
                Err(Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text))
            }
        }
    }
}

impl HostPartition for Partition {
    fn leader_epoch(&self) -> LeaderEpoch {
        Partition::leader_epoch(self)
    }

    fn append(&self, batch: &mut SealedBatch, acks: Acks) -> Result<Appended> {
        let placed = Partition::append(self, batch, acks)?;
        Ok(Appended {
            base_offset: placed.base_offset,
            last_offset: placed.last_offset,
            log_append_time: placed.timestamp,
            rung: placed.rung,
            leader_epoch: placed.leader_epoch,
        })
    }

    fn append_group(&self, batches: &mut [SealedBatch], acks: Acks) -> Grouped {
        Partition::append_group(self, batches, acks)
    }

    fn must_flush_before_ack(&self) -> bool {
        Partition::must_flush_before_ack(self)
    }

    fn wait_for(&self, end: Offset, rung: Rung, deadline: Option<Instant>) -> Result<Rung> {
        Partition::wait_for(self, end, rung, deadline)
    }

    fn judge(&self, end: Offset, _: LeaderEpoch, needed: Rung) -> Judgement {
        // A partition that cannot say has reached nothing.
        let Ok(offsets) = self.offsets() else { return Judgement::Wait };
        let rung = Grouped { offsets, ..Grouped::default() }.rung(end);
        if rung >= needed {
            Judgement::Reached(rung)
        } else {
            Judgement::Wait
        }
    }
}
