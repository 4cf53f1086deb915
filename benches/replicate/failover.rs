//! A leader dies, or leaves in order: what those notice who send.

use crate::cluster::{Cluster, Way};
use crate::stats::percentile;
use crate::{number, Bench};
use kafkalog::{Acks, Record};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub fn killed(bench: &Bench, way: Way) {
    let name = format!("{}: leader killed, until the next acknowledgement", way.name());
    if !bench.wants(&name) {
        return;
    }
    let cluster = Cluster::open(bench, &name, way, 1, true, &[]);
    let kills = number("KAFKALOG_BENCH_KILLS", 20);
    let (mut millis, mut of_controllers) = (Vec::new(), 0);
    for _ in 0..kills {
        let leader = cluster.leader(0);
        let other = cluster.another_than(leader);
        let controller = cluster.engine(other).describe_cluster().expect("a member").controller;
        of_controllers += usize::from(controller.is_some_and(|controller| controller.0 == leader));
        let producer =
            cluster.engine(other).producer().acks(Acks::All).linger(Duration::ZERO).open().expect("a producer");
        let send = || producer.send(Record::new("t", b"x")).expect("sends").wait();
        send().expect("acks");
        cluster.silence(leader, true);
        let began = Instant::now();
        send().unwrap_or_else(|error| panic!("not even after {:?}: {error}", began.elapsed()));
        millis.push(began.elapsed().as_millis() as u64);
        cluster.silence(leader, false);
        cluster.until_in_sync(0);
    }
    if std::env::var_os("KAFKALOG_BENCH_LOG").is_some() {
        println!("    {millis:?}");
    }
    millis.sort_unstable();
    println!(
        "{name:<52} p50 {} ms, p99 {} ms of {kills}, {of_controllers} of them the controller too; default settings",
        percentile(&millis, 0.5),
        millis[millis.len() - 1],
    );
}

/// The leader is closed in order while somebody sends.
pub fn shut_down(bench: &Bench, way: Way) {
    let name = format!("{}: leader shut down in order", way.name());
    if !bench.wants(&name) {
        return;
    }
    let mut cluster = Cluster::open(bench, &name, way, 1, false, &[]);
    let (mut failed, mut sent, mut gaps) = (Vec::new(), 0u64, Vec::new());
    for _ in 0..number("KAFKALOG_BENCH_SHUTDOWNS", 5) {
        let leader = cluster.leader(0);
        let other = cluster.another_than(leader);
        let producer =
            cluster.engine(other).producer().acks(Acks::All).linger(Duration::ZERO).open().expect("a producer");
        let (is_over, errors, longest) = (AtomicBool::new(false), Mutex::new(Vec::new()), Mutex::new(Duration::ZERO));
        let mut count = 0u64;
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let mut count = 0u64;
                while !is_over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    match producer.send(Record::new("t", b"x")).and_then(|delivery| delivery.wait()) {
                        Ok(_) => count += 1,
                        Err(error) => errors.lock().expect("not poisoned").push(error.to_string()),
                    }
                    let mut longest = longest.lock().expect("not poisoned");
                    *longest = (*longest).max(began.elapsed());
                }
                count
            });
            std::thread::sleep(Duration::from_millis(300));
            let report = cluster.take(leader).close().expect("closes");
            if !report.is_clean() {
                println!("    {report}");
            }
            std::thread::sleep(Duration::from_millis(300));
            is_over.store(true, Ordering::Relaxed);
            count = sender.join().expect("ends");
        });
        sent += count;
        failed.extend(errors.into_inner().expect("not poisoned"));
        gaps.push(longest.into_inner().expect("not poisoned").as_millis());
        drop(producer);
        cluster.start(leader);
        cluster.until_in_sync(0);
    }
    println!("{name:<52} {} failed of {sent} (wanted: 0); the longest wait of each round: {gaps:?} ms", failed.len());
    if let Some(first) = failed.first() {
        println!("    the first: {first}");
    }
}
