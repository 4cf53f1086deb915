//! Figures as ratios: kafkalog beside a loop written by hand, on the same bytes, in the same process, slice by slice.
//!
//! `cargo bench --bench paired [-- FILTER]`. Files go to a temporary directory under the current one (`KAFKALOG_BENCH_DIR` moves it):
//! a real file system is wanted, not memory.

#[cfg(feature = "ffi")]
mod c_door;
mod raw;
mod stats;

use kafkalog::{Acks, AppendOptions, Engine, Offset, Producer, Record, TopicConfig};
use raw::Raw;
use stats::{pairs, percentile, row};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

struct Bench {
    dir: PathBuf,
    filter: String,
}

impl Bench {
    fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }

    fn engine(&self, name: &str, partitions: u32, config: &[(&str, &str)]) -> (Engine, PathBuf) {
        let dir = self.dir.join(name);
        let engine = Engine::open(&dir).expect("opens");
        let mut topic = TopicConfig::new().partitions(partitions);
        // Without KAFKALOG_BENCH_FLUSH_MS the background flush of the defaults runs beside us, which the raw loop does not have.
        if let Ok(flush_ms) = std::env::var("KAFKALOG_BENCH_FLUSH_MS") {
            topic = topic.set("flush.ms", &flush_ms).expect("a setting");
        }
        for (key, value) in config {
            topic = topic.set(key, value).expect("a setting");
        }
        engine.create_topic("t", topic).expect("creates");
        (engine, dir)
    }

    fn raw(&self, name: &str) -> Raw {
        Raw::create(&self.dir.join(format!("{name}.raw")))
    }
}

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let base = std::env::var("KAFKALOG_BENCH_DIR").map_or_else(|_| PathBuf::from("target"), PathBuf::from);
    std::fs::create_dir_all(&base).expect("a directory");
    let dir = tempfile::tempdir_in(base).expect("a temporary directory");
    let bench = Bench { dir: dir.path().to_owned(), filter };
    println!("{:<52} {:>22} {:>22} {:>9}", "median of neighbouring slices", "kafkalog", "by hand", "ratio");
    append(&bench, "append 1000 x 100 B, acks=1", 100, 1000, 40);
    append(&bench, "append 64 x 1 KiB, acks=1", 1024, 64, 60);
    append_raw(&bench);
    send_one_thread(&bench);
    send_threads(&bench, 8, 8);
    send_threads(&bench, 8, 1);
    lone_sender(&bench);
    flush_each(&bench);
    flush_group(&bench);
    read(&bench);
    reopen(&bench);
    open_many(&bench);
    bytes_per_record(&bench);
    #[cfg(feature = "ffi")]
    c_door::c_door(&bench);
}

fn append(bench: &Bench, name: &str, bytes: usize, count: u32, calls: u32) {
    if !bench.wants(name) {
        return;
    }
    let (engine, _) = bench.engine(name, 1, &[]);
    let log = engine.log("t", 0).expect("a partition");
    let value = vec![b'x'; bytes];
    let mut raw = bench.raw(name);
    let (mut ours_ns, mut raw_ns) = (Vec::new(), Vec::new());
    let (ours, by_hand, ratio) = pairs(
        60,
        || {
            let began = Instant::now();
            for _ in 0..calls {
                let one = Instant::now();
                log.append_with(AppendOptions::default(), |batch| {
                    for _ in 0..count {
                        batch.push(None, Some(&value), &[], None)?;
                    }
                    Ok(())
                })
                .expect("appends");
                ours_ns.push(one.elapsed().as_nanos() as u64);
            }
            rate(u64::from(calls * count), began.elapsed())
        },
        || {
            let began = Instant::now();
            for _ in 0..calls {
                let one = Instant::now();
                raw.append(&value, count, now_ms());
                raw_ns.push(one.elapsed().as_nanos() as u64);
            }
            rate(u64::from(calls * count), began.elapsed())
        },
    );
    row(name, format!("{:.2} M rec/s", ours / 1e6), format!("{:.2} M rec/s", by_hand / 1e6), ratio, ">= 1.0");
    ours_ns.sort_unstable();
    raw_ns.sort_unstable();
    let (ours, by_hand) = (percentile(&ours_ns, 0.999), percentile(&raw_ns, 0.999));
    let ratio = ours as f64 / by_hand as f64;
    row("  p99.9 of one call", format!("{} us", ours / 1000), format!("{} us", by_hand / 1000), ratio, "<= 1.5");
}

fn append_raw(bench: &Bench) {
    for (name, bytes, count, calls) in
        [("append_raw 1000 x 100 B", 100, 1000, 40), ("append_raw 64 x 1 KiB", 1024, 64, 60)]
    {
        if !bench.wants(name) {
            continue;
        }
        let (engine, _) = bench.engine(name, 1, &[]);
        let log = engine.log("t", 0).expect("a partition");
        let value = vec![b'x'; bytes];
        let mut raw = bench.raw(name);
        let mut encoded = Raw::create(&bench.dir.join("encoded"));
        encoded.encode(&value, count, now_ms());
        let batch = encoded.bytes().to_vec();
        let (ours, by_hand, ratio) = pairs(
            60,
            || {
                let began = Instant::now();
                for _ in 0..calls {
                    log.append_raw(&batch, AppendOptions::default()).expect("appends");
                }
                rate(u64::from(calls * count), began.elapsed())
            },
            || {
                let began = Instant::now();
                for _ in 0..calls {
                    raw.append(&value, count, now_ms());
                }
                rate(u64::from(calls * count), began.elapsed())
            },
        );
        row(name, format!("{:.2} M rec/s", ours / 1e6), format!("{:.2} M rec/s", by_hand / 1e6), ratio, ">= 1.3");
    }
}

fn send_one_thread(bench: &Bench) {
    let name = "send, 1 thread, 100 B, defaults, acks=1";
    if !bench.wants(name) {
        return;
    }
    let (engine, _) = bench.engine(name, 1, &[]);
    let producer = engine.producer().acks(Acks::Leader).open().expect("a producer");
    let value = vec![b'x'; 100];
    let mut raw = bench.raw(name);
    const RECORDS: u32 = 50_000;
    let (ours, by_hand, ratio) = pairs(
        40,
        || {
            let began = Instant::now();
            for _ in 0..RECORDS {
                drop(producer.send(Record::new("t", &value)).expect("sends"));
            }
            let took = began.elapsed();
            producer.flush(Duration::from_secs(10)).expect("flushes");
            rate(u64::from(RECORDS), took)
        },
        || {
            let began = Instant::now();
            for _ in 0..RECORDS / 1000 {
                raw.append(&value, 1000, now_ms());
            }
            rate(u64::from(RECORDS), began.elapsed())
        },
    );
    row(name, format!("{:.2} M rec/s", ours / 1e6), format!("{:.2} M rec/s", by_hand / 1e6), ratio, ">= 0.4");
    println!("    {:.0} ns per record (wanted: at most 100 of CPU)", 1e9 / ours);
}

fn send_threads(bench: &Bench, threads: u32, partitions: u32) {
    let name = format!("send, {threads} threads onto {partitions} partitions, 100 B");
    if !bench.wants(&name) {
        return;
    }
    let (engine, _) = bench.engine(&name, partitions, &[]);
    let producer = engine.producer().acks(Acks::Leader).open().expect("a producer");
    let value = vec![b'x'; 100];
    let mut raw = bench.raw(&name);
    const RECORDS: u32 = 20_000;
    let slice = |producer: &Producer| {
        let start = Barrier::new(threads as usize);
        let began = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (start, value) = (&start, &value);
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..RECORDS {
                        drop(producer.send(Record::new("t", value).partition(thread % partitions)).expect("sends"));
                    }
                });
            }
        });
        producer.flush(Duration::from_secs(10)).expect("flushes");
        rate(u64::from(RECORDS * threads), began.elapsed())
    };
    let (ours, by_hand, ratio) = pairs(
        20,
        || slice(&producer),
        || {
            let began = Instant::now();
            for _ in 0..RECORDS * threads / 1000 {
                raw.append(&value, 1000, now_ms());
            }
            rate(u64::from(RECORDS * threads), began.elapsed())
        },
    );
    row(&name, format!("{:.2} M rec/s", ours / 1e6), format!("{:.2} M rec/s", by_hand / 1e6), ratio, "shown beside");
}

fn lone_sender(bench: &Bench) {
    let name = "lone sender, send and wait, linger 0: p50";
    if !bench.wants(name) {
        return;
    }
    let (engine, _) = bench.engine(name, 1, &[]);
    let producer = engine.producer().acks(Acks::Leader).linger(Duration::ZERO).open().expect("a producer");
    let value = vec![b'x'; 100];
    let mut raw = bench.raw(name);
    const CALLS: usize = 2000;
    let p50 = |mut one: Box<dyn FnMut() + '_>| {
        let mut nanos: Vec<u64> = (0..CALLS)
            .map(|_| {
                let began = Instant::now();
                one();
                began.elapsed().as_nanos() as u64
            })
            .collect();
        nanos.sort_unstable();
        percentile(&nanos, 0.5) as f64
    };
    let (ours, by_hand, ratio) = pairs(
        40,
        || p50(Box::new(|| drop(producer.send(Record::new("t", &value)).expect("sends").wait().expect("acks")))),
        || p50(Box::new(|| raw.append(&value, 1, now_ms()))),
    );
    row(name, format!("{ours:.0} ns"), format!("{by_hand:.0} ns"), ratio, "<= 1.5");
}

fn flush_each(bench: &Bench) {
    let name = "flush.messages=1, one thread: p50";
    if !bench.wants(name) {
        return;
    }
    let (engine, _) = bench.engine(name, 1, &[("flush.messages", "1")]);
    let producer = engine.producer().acks(Acks::Leader).linger(Duration::ZERO).open().expect("a producer");
    let value = vec![b'x'; 100];
    let mut raw = bench.raw(name);
    let p50 = |mut one: Box<dyn FnMut() + '_>| {
        let mut nanos: Vec<u64> = (0..40)
            .map(|_| {
                let began = Instant::now();
                one();
                began.elapsed().as_nanos() as u64
            })
            .collect();
        nanos.sort_unstable();
        percentile(&nanos, 0.5) as f64
    };
    let (ours, by_hand, ratio) = pairs(
        20,
        || p50(Box::new(|| drop(producer.send(Record::new("t", &value)).expect("sends").wait().expect("acks")))),
        || {
            p50(Box::new(|| {
                raw.append(&value, 1, now_ms());
                raw.file.sync_data().expect("syncs");
            }))
        },
    );
    row(name, format!("{:.0} us", ours / 1e3), format!("{:.0} us", by_hand / 1e3), ratio, "<= 1.1");
}

/// The group commit of the textbooks: the first waiter syncs for all who have written, the others sleep.
struct PlainGroup {
    raw: Mutex<Raw>,
    written: AtomicU64,
    state: Mutex<(bool, u64)>,
    done: Condvar,
    file: std::fs::File,
}

impl PlainGroup {
    fn append(&self, value: &[u8]) {
        let ticket = {
            let mut raw = self.raw.lock().expect("not poisoned");
            raw.append(value, 1, now_ms());
            self.written.fetch_add(1, Ordering::SeqCst) + 1
        };
        let mut state = self.state.lock().expect("not poisoned");
        while state.1 < ticket {
            if state.0 {
                state = self.done.wait(state).expect("not poisoned");
                continue;
            }
            state.0 = true;
            drop(state);
            let covered = self.written.load(Ordering::SeqCst);
            self.file.sync_data().expect("syncs");
            state = self.state.lock().expect("not poisoned");
            *state = (false, covered.max(state.1));
            self.done.notify_all();
        }
    }
}

fn flush_group(bench: &Bench) {
    let name = "flush.messages=1, 16 threads";
    if !bench.wants(name) {
        return;
    }
    let (engine, _) = bench.engine(name, 1, &[("flush.messages", "1")]);
    let producer = engine.producer().acks(Acks::Leader).linger(Duration::ZERO).open().expect("a producer");
    let value = vec![b'x'; 100];
    let raw = bench.raw(name);
    let file = raw.file.try_clone().expect("clones");
    let plain = PlainGroup {
        raw: Mutex::new(raw),
        written: AtomicU64::new(0),
        state: Mutex::new((false, 0)),
        done: Condvar::new(),
        file,
    };
    let slice = |one: &(dyn Fn() + Sync)| {
        const CALLS: u64 = 40;
        let start = Barrier::new(17);
        let mut began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..CALLS {
                        one();
                    }
                });
            }
            start.wait();
            began = Instant::now();
        });
        rate(16 * CALLS, began.elapsed())
    };
    let (ours, by_hand, ratio) = pairs(
        20,
        || slice(&|| drop(producer.send(Record::new("t", &value)).expect("sends").wait().expect("acks"))),
        || slice(&|| plain.append(&value)),
    );
    row(name, format!("{ours:.0} acks/s"), format!("{by_hand:.0} acks/s"), ratio, ">= 1.5");
}

fn read(bench: &Bench) {
    let name = "sequential read, checksums compared";
    if !bench.wants(name) {
        return;
    }
    let (engine, dir) = bench.engine(name, 1, &[("segment.bytes", "67108864")]);
    let log = engine.log("t", 0).expect("a partition");
    let value = vec![b'x'; 100];
    while log.offsets().expect("open").log_end.0 < 4_000_000 {
        log.append_with(AppendOptions::default(), |batch| {
            (0..140).try_for_each(|_| batch.push(None, Some(&value), &[], None))
        })
        .expect("appends");
    }
    let first = dir.join("t-0/00000000000000000000.log");
    let mut raw = bench.raw(name);
    // The same bytes: the sealed segments, one behind the other.
    for entry in std::fs::read_dir(first.parent().expect("a directory")).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "log") {
            let bytes = std::fs::read(path).expect("reads");
            std::os::unix::fs::FileExt::write_all_at(&raw.file, &bytes, raw.at).expect("writes");
            raw.at += bytes.len() as u64;
        }
    }
    let end = log.offsets().expect("open").log_end;
    let mut buffer = Vec::new();
    let (ours, by_hand, ratio) = pairs(
        20,
        || {
            let began = Instant::now();
            let (mut next, mut bytes) = (Offset(0), 0);
            while next < end {
                let records = log.read(next, 4 << 20, Duration::ZERO).expect("reads");
                bytes += records.pinned_bytes();
                next = records.batches().last().expect("more").next_offset();
            }
            rate(bytes, began.elapsed())
        },
        || {
            let began = Instant::now();
            raw::read_through(&raw.file, raw.at, &mut buffer);
            rate(raw.at, began.elapsed())
        },
    );
    row(name, format!("{:.2} GB/s", ours / 1e9), format!("{:.2} GB/s", by_hand / 1e9), ratio, ">= 1.3");
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("creates");
    for entry in std::fs::read_dir(from).expect("lists") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copies");
        }
    }
}

fn reopen(bench: &Bench) {
    let name = "reopen 1 GiB that was not closed";
    if !bench.wants(name) {
        return;
    }
    let (engine, dir) = bench.engine(name, 1, &[]);
    let log = engine.log("t", 0).expect("a partition");
    let value = vec![b'x'; 1000];
    while log.offsets().expect("open").log_end.0 < (1 << 30) / 1010 {
        log.append_with(AppendOptions::default(), |batch| {
            (0..1000).try_for_each(|_| batch.push(None, Some(&value), &[], None))
        })
        .expect("appends");
    }
    // The background flush of the defaults comes within flush.ms; what a kill would find after it is copied, with a small tail behind.
    while log.offsets().expect("open").flushed < log.offsets().expect("open").log_end {
        std::thread::yield_now();
    }
    engine.sync_all(Duration::from_secs(60)).expect("syncs");
    for _ in 0..100 {
        log.append_with(AppendOptions::default(), |batch| batch.push(None, Some(&value), &[], None)).expect("appends");
    }
    let copy = bench.dir.join("killed");
    copy_dir(&dir, &copy);
    engine.close().expect("closes");
    let began = Instant::now();
    let engine = Engine::open(&copy).expect("opens");
    let end = engine.log("t", 0).expect("a partition").offsets().expect("open").log_end;
    let took = began.elapsed();
    println!(
        "{name:<52} {:>19.1} ms   end {end}   (wanted: <= 20 ms; 100 records behind the last flush)",
        took.as_secs_f64() * 1e3
    );
    drop(engine);
    std::fs::remove_dir_all(copy).expect("removes");
}

fn open_many(bench: &Bench) {
    let name = "open 1000 partitions of 3 segments";
    if !bench.wants(name) {
        return;
    }
    let (engine, dir) = bench.engine(name, 1000, &[("segment.bytes", "1048576")]);
    let value = vec![b'x'; 700_000];
    for partition in 0..1000 {
        let log = engine.log("t", partition).expect("a partition");
        for _ in 0..3 {
            log.append_with(AppendOptions::default(), |batch| batch.push(None, Some(&value), &[], None))
                .expect("appends");
        }
    }
    engine.close().expect("closes");
    drop(engine);
    let began = Instant::now();
    let engine = Engine::open(&dir).expect("opens");
    let opened = began.elapsed();
    for partition in 0..1000 {
        engine.log("t", partition).expect("a partition").offsets().expect("open");
    }
    let touched = began.elapsed();
    println!(
        "{name:<52} {:>19.1} ms   and {:.1} ms with each of them touched   (wanted: <= 200 ms)",
        opened.as_secs_f64() * 1e3,
        touched.as_secs_f64() * 1e3
    );
}

fn bytes_per_record(bench: &Bench) {
    let name = "bytes on disk per keyless 100 B record";
    if !bench.wants(name) {
        return;
    }
    let (engine, dir) = bench.engine(name, 1, &[]);
    let producer = engine.producer().acks(Acks::Leader).open().expect("a producer");
    let value = vec![b'x'; 100];
    const RECORDS: u64 = 1_000_000;
    for _ in 0..RECORDS {
        drop(producer.send(Record::new("t", &value)).expect("sends"));
    }
    producer.flush(Duration::from_secs(10)).expect("flushes");
    drop(producer);
    engine.close().expect("closes");
    let bytes: u64 = std::fs::read_dir(dir.join("t-0"))
        .expect("lists")
        .map(|entry| entry.expect("an entry").metadata().expect("a file").len())
        .sum();
    println!("{name:<52} {:>22.3}   (wanted: <= 111)", bytes as f64 / RECORDS as f64);
}
