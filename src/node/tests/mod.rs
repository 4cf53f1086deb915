//! The promises of the node, kept on a real disk, with a clock that is told the time.

mod crashes;
mod open_partitions;
mod partitions;
mod space;
mod start;
mod topics;
mod upkeep;

use super::{Node, Partition, Placed, World};
use crate::config::{EngineConfig, TopicOverrides};
use crate::disk::{Disk, RealDisk};
use crate::error::Result;
use crate::record::{batches, BatchBuilder, RecordRef, SealedBatch};
use crate::sim::SimClock;
use crate::storage::{Fetch, UpTo};
use crate::time::{Clock, Instant};
use crate::types::{Acks, Codec, Offset};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Runs since a while: a real clock never stands at zero.
fn running_clock() -> Arc<SimClock> {
    let clock = SimClock::default();
    clock.advance(Duration::from_secs(1));
    Arc::new(clock)
}

struct Place {
    dir: tempfile::TempDir,
    clock: Arc<SimClock>,
    disk: Arc<dyn Disk>,
}

impl Place {
    fn new() -> Place {
        Place { dir: tempfile::tempdir().expect("temp dir"), clock: running_clock(), disk: Arc::new(RealDisk) }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn try_open(&self, settings: &[(&str, &str)]) -> Result<Node> {
        let mut config = EngineConfig::default();
        for (name, value) in settings {
            config.set(name, value)?;
        }
        let world = World { clock: self.clock.clone(), disk: self.disk.clone(), seed: 1 };
        Node::open(self.path(), config, world)
    }

    fn open(&self, settings: &[(&str, &str)]) -> Node {
        self.try_open(settings).expect("opens")
    }

    /// As many ticks as are due until `by` has passed; answers when the next one is.
    fn pass_time(&self, node: &Node, by: Duration) -> Option<Instant> {
        let end = self.clock.monotonic() + by;
        loop {
            let due = node.tick(self.clock.monotonic());
            let next = due.unwrap_or(end).min(end);
            self.clock.advance(next.since(self.clock.monotonic()));
            if next == end {
                return node.tick(end);
            }
        }
    }
}

fn close(node: &Node) {
    let report = node.close(Instant(u64::MAX)).expect("closes");
    assert!(report.is_clean(), "{report}");
}

fn overrides(settings: &[(&str, &str)]) -> TopicOverrides {
    let mut overrides = TopicOverrides::new();
    for (name, value) in settings {
        overrides.set(name, value).expect("legal");
    }
    overrides
}

fn batch(values: &[&[u8]], timestamp: i64) -> SealedBatch {
    let mut builder = BatchBuilder::new(Codec::None, None);
    for value in values {
        let record = RecordRef { key: None, value: Some(value), headers: &[] };
        builder.append(record, timestamp).expect("appends");
    }
    builder.seal(None, false).expect("seals")
}

fn put(partition: &Partition, value: &[u8]) -> Result<Placed> {
    let now = partition.house.clock.realtime();
    partition.append(&mut batch(&[value], now.0), Acks::Leader)
}

/// Number of records that can be read.
fn count(partition: &Partition) -> u64 {
    let mut from = partition.offsets().expect("offsets").log_start;
    let mut records = 0;
    loop {
        let fetch = Fetch { from, bytes_max: 1 << 20, up_to: UpTo::HighWatermark, min_one_message: true };
        let fetched = partition.read(fetch).expect("reads");
        if fetched.batches.is_empty() {
            return records;
        }
        for view in batches(&fetched.batches) {
            let (_, view) = view.expect("is a batch");
            assert!(view.crc_matches());
            records += u64::from(view.header().record_count.unsigned_abs());
            from = view.header().end_offset();
        }
    }
}

fn fetch_from(from: Offset) -> Fetch {
    Fetch { from, bytes_max: 1 << 20, up_to: UpTo::HighWatermark, min_one_message: true }
}
