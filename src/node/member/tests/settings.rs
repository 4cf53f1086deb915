//! Settings that change while the cluster works.

use super::Cluster;
use crate::controller::ControllerRequest;
use crate::sim::{Call, FaultKind, FaultyCalls, Repeat, SimDisk};

#[test]
fn a_leader_commits_by_the_settings_of_the_cluster_even_if_its_disk_cannot_write_them_down() {
    let cluster = Cluster::with_disks(3, &[], |id| Some(SimDisk::new(u64::from(id))));
    cluster.create("t", 3, &[("min.insync.replicas", "1")]);
    let leader = cluster.leader();
    let disk = cluster.seats[leader as usize - 1].disk.as_ref().expect("is a made-up one");
    disk.fail_nth(FaultyCalls::Only(Call::Rename), 1, FaultKind::Eio, Repeat::Forever);
    let partition = cluster.partition(leader).expect("leads");
    // And back, to what the disk still says.
    for wanted in [2, 1] {
        let changes = vec![("min.insync.replicas".to_owned(), Some(wanted.to_string()))];
        cluster.ask(ControllerRequest::AlterTopicConfig { name: "t".into(), changes }).expect("alters");
        cluster.until("the leader obeys", || (partition.min_insync_replicas() == wanted).then_some(()));
    }
    assert!(disk.faults_fired() > 0 && partition.is_leading());
}
