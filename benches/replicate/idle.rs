//! A cluster where nobody sends anything.

use crate::cluster::{Cluster, Way};
use crate::Bench;
use std::time::{Duration, Instant};

fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    let ticks: u64 = behind.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 * 10.0
}

pub fn idle(bench: &Bench, way: Way) {
    let name = format!("{}: idle, 10 partitions, a node and a second", way.name());
    if !bench.wants(&name) {
        return;
    }
    let cluster = Cluster::open(bench, &name, way, 10, false, &[]);
    std::thread::sleep(Duration::from_secs(2));
    let (began, frames, wakeups, cpu) = (Instant::now(), cluster.frames_sent(), cluster.wakeups(), cpu_ms());
    std::thread::sleep(Duration::from_secs(8));
    let share = began.elapsed().as_secs_f64() * 3.0;
    println!(
        "{name:<52} {:.1} wake-ups, {:.1} frames sent, {:.2} ms of CPU",
        (cluster.wakeups() - wakeups) as f64 / share,
        (cluster.frames_sent() - frames) as f64 / share,
        (cpu_ms() - cpu) / share
    );
}
