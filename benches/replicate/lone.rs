//! One sender who waits for each record.

use crate::cluster::{Cluster, Way};
use crate::raw::Chain;
use crate::stats::{pairs, percentile, row};
use crate::{number, Bench};
use kafkalog::{Acks, Record};
use std::time::{Duration, Instant};

const VALUE: [u8; 100] = [b'x'; 100];

pub fn lone(bench: &Bench, way: Way) {
    let name = format!("{}: a lone sender waits, p50", way.name());
    if !bench.wants(&name) {
        return;
    }
    let cluster = Cluster::open(bench, &name, way, 1, false, &[]);
    let producer = cluster.engine(cluster.leader(0)).producer().acks(Acks::All).linger(Duration::ZERO);
    let producer = producer.open().expect("a producer");
    let mut chain = Chain::open(&bench.dir.join("raw-lone"), way);
    let rounds = number("KAFKALOG_BENCH_LONE", 2_000);
    let mut worst = Vec::new();
    let mut p50 = |one: &mut dyn FnMut(), keep: bool| {
        let mut nanos: Vec<u64> = (0..rounds)
            .map(|_| {
                let began = Instant::now();
                one();
                began.elapsed().as_nanos() as u64
            })
            .collect();
        nanos.sort_unstable();
        if keep {
            worst.push(percentile(&nanos, 0.99));
        }
        percentile(&nanos, 0.5) as f64
    };
    let frames = cluster.frames_sent();
    let p50 = std::cell::RefCell::new(&mut p50);
    let (ours, by_hand, ratio) = pairs(
        10,
        || {
            let mut one = || drop(producer.send(Record::new("t", &VALUE)).expect("sends").wait().expect("acks"));
            p50.borrow_mut()(&mut one, true)
        },
        || p50.borrow_mut()(&mut || chain.ping_pong(&VALUE), false),
    );
    let goal = if way == Way::Channel { "<= 10 us" } else { "<= 1.5 x its ping-pong" };
    row(&name, format!("{:.1} us", ours / 1e3), format!("{:.1} us", by_hand / 1e3), ratio, goal);
    let both = if way == Way::Channel {
        String::new()
    } else {
        let both = p50.borrow_mut()(&mut || chain.pipeline(&VALUE, 1, 1), false);
        format!("; by hand to two followers who write and confirm: {:.1} us", both / 1e3)
    };
    worst.sort_unstable();
    let sent = (11 * rounds) as f64;
    println!(
        "    p99 {:.1} us; {:.2} frames a record{both}",
        worst[worst.len() / 2] as f64 / 1e3,
        (cluster.frames_sent() - frames) as f64 / sent
    );
}
