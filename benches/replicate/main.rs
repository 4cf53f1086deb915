//! What replication costs: clusters of three nodes beside loops written by hand, on the same transport, in the same process, slice by slice.
//!
//! `cargo bench --bench replicate [-- FILTER]`. Files go to a temporary directory under the current one (`KAFKALOG_BENCH_DIR` moves it):
//! a real file system is wanted, not memory. All three nodes are in this one process, also where they speak over sockets, so that they
//! share its cores with the producers.

mod catch_up;
mod cluster;
mod failover;
mod idle;
mod lone;
mod pipelined;
mod raw;
mod sendfile;
#[path = "../paired/stats.rs"]
mod stats;
mod veil;

use cluster::Way;
use std::path::PathBuf;

pub struct Bench {
    pub dir: PathBuf,
    filter: String,
}

impl Bench {
    pub fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }
}

/// A number of the environment.
pub fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn main() {
    // Everything that tests all targets compiles this, and does not run it.
    if !std::env::args().any(|arg| arg == "--bench") {
        return println!("measures only with --bench");
    }
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let base = std::env::var("KAFKALOG_BENCH_DIR").map_or_else(|_| PathBuf::from("target"), PathBuf::from);
    std::fs::create_dir_all(&base).expect("a directory");
    let dir = tempfile::tempdir_in(base).expect("a temporary directory");
    let bench = Bench { dir: dir.path().to_owned(), filter };
    println!("three nodes in one process, 3 replicas, min.insync.replicas=2, acks=all, 100 B records");
    println!("{:<52} {:>22} {:>22} {:>9}", "median of neighbouring slices", "kafkalog", "by hand", "ratio");
    for way in [Way::Channel, Way::Tcp, Way::Unix] {
        pipelined::pipelined(&bench, way, 1);
        pipelined::pipelined(&bench, way, 2);
        pipelined::offered(&bench, way, 1_600_000);
        lone::lone(&bench, way);
    }
    for way in [Way::Channel, Way::Tcp] {
        catch_up::catch_up(&bench, way);
    }
    sendfile::sendfile(&bench);
    for way in [Way::Channel, Way::Tcp] {
        failover::killed(&bench, way);
        failover::shut_down(&bench, way);
    }
    for way in [Way::Channel, Way::Tcp] {
        idle::idle(&bench, way);
    }
}
