//! The hot paths, one by one: `cargo bench --bench hot_paths`.

use criterion::{criterion_group, criterion_main, BatchSize, Criterion, Throughput};
use kafkalog::{Acks, AppendOptions, Engine, Offset, Record, TopicConfig};
use std::time::Duration;

fn engine() -> (tempfile::TempDir, Engine) {
    std::fs::create_dir_all("target").expect("a directory");
    let dir = tempfile::tempdir_in("target").expect("a temporary directory");
    let engine = Engine::open(dir.path().join("data")).expect("opens");
    let topic = TopicConfig::new().set("retention.bytes", "268435456").expect("a setting");
    engine.create_topic("t", topic).expect("creates");
    (dir, engine)
}

fn append(criterion: &mut Criterion) {
    let (_dir, engine) = engine();
    let log = engine.log("t", 0).expect("a partition");
    let mut group = criterion.benchmark_group("append");
    for (count, bytes) in [(1, 100), (1000, 100), (64, 1024)] {
        let value = vec![b'x'; bytes];
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} x {bytes} B"), |bencher| {
            bencher.iter(|| {
                log.append_with(AppendOptions::default(), |batch| {
                    (0..count).try_for_each(|_| batch.push(None, Some(&value), &[], None))
                })
                .expect("appends")
            });
        });
    }
    group.finish();
}

fn send(criterion: &mut Criterion) {
    let (_dir, engine) = engine();
    let value = vec![b'x'; 100];
    let batching = engine.producer().acks(Acks::Leader).open().expect("a producer");
    criterion.bench_function("send 100 B, defaults", |bencher| {
        bencher.iter(|| batching.send(Record::new("t", &value)).expect("sends"));
    });
    let lone = engine.producer().acks(Acks::Leader).linger(Duration::ZERO).open().expect("a producer");
    criterion.bench_function("send 100 B and wait, linger 0", |bencher| {
        bencher.iter(|| lone.send(Record::new("t", &value)).expect("sends").wait().expect("acks"));
    });
}

fn read(criterion: &mut Criterion) {
    let (_dir, engine) = engine();
    let log = engine.log("t", 0).expect("a partition");
    let value = vec![b'x'; 100];
    for _ in 0..1000 {
        log.append_with(AppendOptions::default(), |batch| {
            (0..140).try_for_each(|_| batch.push(None, Some(&value), &[], None))
        })
        .expect("appends");
    }
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("1 MiB, checksums compared", |bencher| {
        bencher.iter_batched(
            || Offset(fastrand::u64(..100_000)),
            |from| log.read(from, 1 << 20, Duration::ZERO).expect("reads"),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, append, send, read);
criterion_main!(benches);
