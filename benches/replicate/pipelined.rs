//! As many records as go through, and a steady stream of them: producers on the leader's node, acknowledged by all.

use crate::cluster::{Cluster, Way};
use crate::raw::Chain;
use crate::stats::{pairs, percentile, row};
use crate::{number, Bench};
use kafkalog::{Acks, DeliveryReport, DeliverySink, Producer, Record};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a batch of `batch.size` holds.
pub const RECORDS_PER_BATCH: u32 = 148;
const VALUE: [u8; 100] = [b'x'; 100];
const OFFERED_SECONDS: u64 = 5;

/// Collects how long the first record of each batch waited for its acknowledgement.
struct Stopwatch {
    began: Instant,
    nanos: Mutex<Vec<u64>>,
    failed: AtomicU64,
}

impl Stopwatch {
    fn new() -> Stopwatch {
        Stopwatch { began: Instant::now(), nanos: Mutex::default(), failed: AtomicU64::new(0) }
    }

    fn summary(&self) -> String {
        let mut nanos = std::mem::take(&mut *self.nanos.lock().expect("not poisoned"));
        nanos.sort_unstable();
        let ms = |part| percentile(&nanos, part) as f64 / 1e6;
        let failed = self.failed.load(Ordering::Relaxed);
        format!(
            "acknowledged after p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms (wanted: p99 <= 20 ms); {failed} failed",
            ms(0.5),
            ms(0.99),
            ms(0.999)
        )
    }
}

impl DeliverySink for Stopwatch {
    fn deliver(&self, report: DeliveryReport<'_>) {
        if report.result.is_err() {
            self.failed.fetch_add(report.tags.len() as u64, Ordering::Relaxed);
        }
        let now = self.began.elapsed().as_nanos() as u64;
        self.nanos.lock().expect("not poisoned").push(now - report.tags[0]);
    }
}

pub fn pipelined(bench: &Bench, way: Way, threads: u32) {
    let name = format!("{}: pipelined, {threads} thread(s)", way.name());
    if !bench.wants(&name) {
        return;
    }
    let cluster = Cluster::open(bench, &name, way, 1, false, &[]);
    let watch = Arc::new(Stopwatch::new());
    let builder = cluster.engine(cluster.leader(0)).producer().acks(Acks::All);
    let producer = builder.delivery_sink(Arc::clone(&watch) as _).open().expect("a producer");
    let mut chain = Chain::open(&bench.dir.join("raw"), way);
    let records = number("KAFKALOG_BENCH_RECORDS", 400_000) as u32;
    let slice = |producer: &Producer| {
        let each = records / threads;
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut now = 0;
                    for n in 0..each {
                        if n % 16 == 0 {
                            now = watch.began.elapsed().as_nanos() as u64;
                        }
                        producer.send_tagged(Record::new("t", &VALUE), now).expect("sends");
                    }
                });
            }
        });
        producer.flush(Duration::from_secs(20)).expect("flushes");
        f64::from(each * threads) / began.elapsed().as_secs_f64()
    };
    let frames = cluster.frames_sent();
    let (ours, by_hand, ratio) = pairs(
        number("KAFKALOG_BENCH_SLICES", 12),
        || slice(&producer),
        || {
            let began = Instant::now();
            let batches = records / RECORDS_PER_BATCH;
            chain.pipeline(&VALUE, RECORDS_PER_BATCH, batches);
            f64::from(batches * RECORDS_PER_BATCH) / began.elapsed().as_secs_f64()
        },
    );
    let goal = if way == Way::Channel { "3 M rec/s" } else { "1.5 M rec/s" };
    row(&name, format!("{:.2} M rec/s", ours / 1e6), format!("{:.2} M rec/s", by_hand / 1e6), ratio, goal);
    let stats = producer.stats();
    let frames = cluster.frames_sent() - frames;
    println!(
        "    {}; {} batches, {:.2} frames a batch, {} wake-ups",
        watch.summary(),
        stats.batches_acked,
        frames as f64 / stats.batches_acked.max(1) as f64,
        cluster.wakeups(),
    );
}

/// How long records wait for their acknowledgement while no more of them come than go through.
pub fn offered(bench: &Bench, way: Way, per_second: u32) {
    let name = format!("{}: {:.1} M rec/s are offered", way.name(), f64::from(per_second) / 1e6);
    if !bench.wants(&name) {
        return;
    }
    let cluster = Cluster::open(bench, &name, way, 1, false, &[]);
    let watch = Arc::new(Stopwatch::new());
    let builder = cluster.engine(cluster.leader(0)).producer().acks(Acks::All);
    let producer = builder.delivery_sink(Arc::clone(&watch) as _).open().expect("a producer");
    let (began, all, mut sent) = (Instant::now(), u64::from(per_second) * OFFERED_SECONDS, 0);
    while sent < all {
        let due = (began.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        let now = watch.began.elapsed().as_nanos() as u64;
        for _ in sent..due.min(all) {
            producer.send_tagged(Record::new("t", &VALUE), now).expect("sends");
        }
        sent = due.min(all);
        std::thread::sleep(Duration::from_micros(100));
    }
    producer.flush(Duration::from_secs(20)).expect("flushes");
    let rate = all as f64 / began.elapsed().as_secs_f64();
    println!("{name:<52} {:.2} M rec/s; {}", rate / 1e6, watch.summary());
}
