//! What the verbs that read have in common: finding topics and walking partitions to their end.

use crate::failure::{Failure, Outcome};
use kafkalog::{
    Consumer, ConsumerRecord, ErrorCode, Offset, ReadOnlyEngine, StartAt, TopicDescription, TopicPartition,
};
use std::time::Duration;

/// How long one poll waits before the loop around it looks at the world again.
pub const POLL: Duration = Duration::from_millis(100);

pub fn topic(engine: &ReadOnlyEngine, name: &str) -> Outcome<TopicDescription> {
    engine.topics()?.into_iter().find(|topic| &*topic.name == name).ok_or_else(|| {
        let message = format!("there is no topic {name:?} in this directory");
        kafkalog::Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message).into()
    })
}

/// All partitions of a topic, or the chosen ones, which must exist.
pub fn partitions(topic: &TopicDescription, chosen: &[u32]) -> Outcome<Vec<TopicPartition>> {
    if let Some(missing) = chosen.iter().find(|partition| **partition >= topic.partition_count) {
        let message =
            format!("topic {} has no partition {missing}, only 0 to {}", topic.name, topic.partition_count.max(1) - 1);
        return Err(Failure::from(kafkalog::Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message)));
    }
    let all: Vec<u32> = (0..topic.partition_count).collect();
    let wanted = if chosen.is_empty() { &all } else { chosen };
    Ok(wanted.iter().map(|partition| TopicPartition::new(topic.name.clone(), *partition)).collect())
}

/// Reads one partition from its first record to the end that it has now.
pub fn each_record(
    engine: &ReadOnlyEngine,
    partition: &TopicPartition,
    mut each: impl FnMut(ConsumerRecord<'_>) -> Outcome,
) -> Outcome {
    let mut consumer = engine.consumer().assign(partition.clone(), StartAt::Earliest).open()?;
    let end = end_of(&consumer, partition)?;
    while consumer.position(partition).is_some_and(|position| position < end) {
        for record in consumer.poll(POLL)?.iter() {
            if record.offset >= end {
                return Ok(());
            }
            each(record)?;
        }
    }
    Ok(())
}

pub fn end_of(consumer: &Consumer, partition: &TopicPartition) -> Outcome<Offset> {
    Ok(consumer.end_offsets(std::slice::from_ref(partition))?[0])
}
