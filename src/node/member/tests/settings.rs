//! Settings that change while the cluster works.

use super::Cluster;
use crate::controller::{ControllerRequest, CreateTopic};
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

#[test]
fn a_node_whose_disk_refused_a_new_topic_takes_part_as_soon_as_the_disk_does() {
    let cluster = Cluster::with_disks(3, &[], |id| Some(SimDisk::new(u64::from(id))));
    cluster.create("other", 3, &[]);
    let refusing = cluster.seats[2].disk.as_ref().expect("is a made-up one");
    refusing.fail_nth(FaultyCalls::Only(Call::Rename), 1, FaultKind::Enospc, Repeat::Forever);
    let create = ControllerRequest::CreateTopic(CreateTopic {
        name: "t".into(),
        id: [8; 16],
        partitions: Some(1),
        replication_factor: Some(3),
        assignments: Vec::new(),
        settings: Vec::new(),
    });
    cluster.ask(create).expect("creates");
    cluster.until("its disk has refused", || (refusing.faults_fired() > 0).then_some(()));
    refusing.clear_faults();
    cluster.until("all three are in sync", || {
        let leader = (1..=3).find_map(|id| cluster.partition(id).filter(|partition| partition.is_leading()))?;
        (leader.in_sync_replicas()?.len() == 3 && cluster.partition(3).is_some()).then_some(())
    });
    cluster.put_acked("x");
    cluster.converge();
}
