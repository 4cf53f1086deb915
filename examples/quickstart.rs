//! Open a directory, send two records, read them back. `cargo run --example quickstart [DIR]`

use kafkalog::{Acks, Engine, Record, StartAt, TopicConfig, TopicPartition};
use std::time::Duration;

fn main() -> kafkalog::Result<()> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "kafkalog-data".to_owned());
    let engine = Engine::open(dir)?;
    if !engine.topics()?.iter().any(|topic| &*topic.name == "orders") {
        engine.create_topic("orders", TopicConfig::new().partitions(4))?;
    }

    let producer = engine.producer().acks(Acks::All).open()?;
    let delivery = producer.send(Record::new("orders", "two coffees").partition(0))?;
    producer.send_with(Record::new("orders", "one tea").partition(0), |outcome| {
        outcome.expect("nothing is in the way of a cup of tea");
    })?;
    delivery.wait()?;
    producer.flush(Duration::from_secs(5))?;

    let mut kitchen = engine.consumer().assign(TopicPartition::new("orders", 0), StartAt::Earliest).open()?;
    for record in kitchen.poll(Duration::from_secs(1))?.iter() {
        let value = String::from_utf8_lossy(record.value.unwrap_or_default());
        println!("{}-{}@{}: {value}", record.topic, record.partition, record.offset);
    }
    engine.close()?;
    Ok(())
}
