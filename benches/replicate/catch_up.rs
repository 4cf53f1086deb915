//! A follower that was away for long.

use crate::cluster::{Cluster, Way};
use crate::raw::copy_over;
use crate::stats::row;
use crate::{number, Bench};
use kafkalog::{Acks, AppendOptions, Offset, Record};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const VALUE: [u8; 1000] = [b'x'; 1000];

pub fn catch_up(bench: &Bench, way: Way) {
    let mib = number("KAFKALOG_BENCH_MIB", 1024) as u64;
    let (bytes, name) = (mib << 20, format!("{}: catching up {mib} MiB", way.name()));
    if !bench.wants(&name) {
        return;
    }
    let settings = [("replica.lag.time.max.ms", "1500")];
    let cluster = Cluster::open(bench, &name, way, 1, true, &settings);
    let leader = cluster.leader(0);
    let away = cluster.another_than(leader);
    let end_of =
        |id: u32| cluster.engine(id).log("t", 0).and_then(|log| log.offsets()).map_or(Offset(0), |at| at.log_end);
    // Somebody else may have been elected meanwhile, on a disk that is too slow for the nodes, and what only the old leader had is gone.
    let has_everything = |to: Offset| cluster.led(0).is_some_and(|(leader, _)| end_of(away) >= to.min(end_of(leader)));
    let append = || {
        let (leader, _) = cluster.led(0)?;
        let appended = cluster.engine(leader).log("t", 0).and_then(|log| {
            log.append_with(AppendOptions::default(), |batch| {
                (0..64).try_for_each(|_| batch.push(None, Some(&VALUE), &[], None))
            })
        });
        match appended {
            Err(error) if error.is_retriable() => None,
            appended => Some(appended.expect("appends")),
        }
    };
    let fall_behind = || {
        cluster.silence(away, true);
        cluster.until("the silent one leaves the ISR", || {
            cluster.led(0).filter(|(_, replicas)| replicas.isr.len() == 2).map(|_| ())
        });
        for _ in 0..bytes / (64 * 1000) {
            cluster.until("the leader takes it", append);
        }
    };
    // Nobody else wants anything.
    fall_behind();
    let (from, to) = (end_of(away), end_of(cluster.leader(0)));
    cluster.silence(away, false);
    let back = Instant::now();
    cluster.until("it begins", || (end_of(away) > from).then_some(()));
    let began = Instant::now();
    cluster.until("it has everything", || has_everything(to).then_some(()));
    let ours = bytes as f64 / began.elapsed().as_secs_f64();
    let begins = began.duration_since(back);
    cluster.until_in_sync(0);
    let in_sync = back.elapsed();
    let by_hand = copy_over(&bench.dir.join("copy"), bytes, way);
    let mb = |rate: f64| format!("{:.0} MB/s", rate / 1e6);
    row(&name, mb(ours), mb(by_hand), ours / by_hand, ">= 0.5");
    println!(
        "    begins {:.0} ms after it is back, in sync after {:.0} ms",
        begins.as_secs_f64() * 1e3,
        in_sync.as_secs_f64() * 1e3
    );

    // Beside a producer that sends as fast as it can, compared with what it sends while all three are in sync.
    let producer = cluster.engine(leader).producer().acks(Acks::All).open().expect("a producer");
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let rate_while = |work: &mut dyn FnMut()| {
        let (began, before) = (Instant::now(), sent.load(Ordering::Relaxed));
        work();
        (sent.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let over = Over(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for _ in 0..1000 {
                    let sent = producer.send_tagged(Record::new("t", &VALUE[..100]), 0);
                    sent.unwrap_or_else(|error| panic!("{error}\n{}", cluster.describe()));
                }
                sent.fetch_add(1000, Ordering::Relaxed);
            }
        });
        let before = rate_while(&mut || std::thread::sleep(Duration::from_secs(2)));
        fall_behind();
        let from = end_of(away);
        cluster.silence(away, false);
        cluster.until("it begins", || (end_of(away) > from).then_some(()));
        let to = end_of(cluster.leader(0));
        let began = Instant::now();
        let meanwhile = rate_while(&mut || {
            cluster.until("it has everything", || has_everything(to).then_some(()));
        });
        let took = began.elapsed();
        drop(over);
        println!(
            "    beside producers: it takes {:.0} ms, they send {:.2} M rec/s, {:.2} before: {:.0} % (wanted: >= 70 %)",
            took.as_secs_f64() * 1e3,
            meanwhile / 1e6,
            before / 1e6,
            meanwhile / before * 100.0
        );
    });
    let _ = producer.flush(Duration::from_secs(10));
}

/// Also when this thread fails: the other one is waited for.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
