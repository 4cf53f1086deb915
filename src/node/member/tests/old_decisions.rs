//! A node that comes back, and what the cluster had decided before.

use super::{Arc, Cluster, NodeId, Offset};
use crate::controller::{ControllerRequest, CreateTopic, Image};

/// One that follows.
fn follower(cluster: &Cluster) -> u32 {
    let leader = cluster.leader();
    (1..=3).rev().find(|id| *id != leader).expect("three nodes")
}

fn has_files(cluster: &Cluster, id: u32) -> bool {
    cluster.partition(id).is_some_and(|partition| partition.is_on_disk())
}

fn in_sync(cluster: &Cluster, wanted: usize) {
    cluster.until("all are in sync", || {
        let isr = cluster.partition(cluster.leader())?.in_sync_replicas()?;
        (isr.len() == wanted).then_some(())
    });
}

fn reassign(cluster: &Cluster, to: impl IntoIterator<Item = u32>) -> Arc<Image> {
    let replicas: Vec<NodeId> = to.into_iter().map(NodeId).collect();
    let asked =
        ControllerRequest::AlterReassignment { name: "t".into(), partition: 0, replicas: Some(replicas.clone()) };
    cluster.ask(asked).expect("reassigns");
    cluster.until("the replicas are there", || {
        let leader = cluster.node(cluster.leader()).member()?.describe();
        let state = leader.image.topic_named("t")?.partitions[0].clone();
        let same =
            state.replicas.len() == replicas.len() && replicas.iter().all(|wanted| state.replicas.contains(wanted));
        same.then_some(leader.image)
    })
}

/// Node `id` dies with the others, comes back alone, and hears of `old` as if it had just been decided.
fn hears_alone_of(cluster: &mut Cluster, id: u32, old: &Arc<Image>) {
    (1..=3).for_each(|id| cluster.kill(id));
    cluster.start(id);
    let member = cluster.node(id).member().expect("is a member").clone();
    member.handle_image(old, &old.changes_since(&Image::default()));
    assert_eq!(cluster.partition(id).expect("is there").offsets().expect("offsets").log_end, Offset(3));
}

fn goes_on(cluster: &mut Cluster, id: u32) {
    (1..=3).filter(|other| *other != id).for_each(|other| cluster.start(other));
    assert_eq!(cluster.put_acked("after"), Offset(3));
    cluster.converge();
}

#[test]
fn a_replica_that_was_taken_away_and_given_back_is_not_taken_away_when_old_decisions_are_heard_again() {
    let mut cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    cluster.put_acked("before");
    let moved = follower(&cluster);
    let without = reassign(&cluster, (1..=3).filter(|id| *id != moved));
    cluster.until("its files go", || (!has_files(&cluster, moved)).then_some(()));
    reassign(&cluster, 1..=3);
    in_sync(&cluster, 3);
    for n in 0..2 {
        cluster.put_acked(&format!("back {n}"));
    }
    cluster.converge();
    hears_alone_of(&mut cluster, moved, &without);
    goes_on(&mut cluster, moved);
}

#[test]
fn a_topic_that_was_created_again_is_not_deleted_when_the_first_of_its_name_is_heard_of_again() {
    let mut cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    cluster.put_acked("of the first");
    let first = cluster.node(1).member().expect("is a member").describe().image;
    cluster.ask(ControllerRequest::DeleteTopic { name: "t".into() }).expect("deletes");
    let again = CreateTopic {
        name: "t".into(),
        id: [8; 16],
        partitions: Some(1),
        replication_factor: Some(3),
        assignments: Vec::new(),
        settings: vec![("min.insync.replicas".to_owned(), "2".to_owned())],
    };
    cluster.ask(ControllerRequest::CreateTopic(again)).expect("creates");
    cluster.until("everybody has it", || {
        (1..=3).all(|id| cluster.node(id).topic("t").is_some_and(|topic| topic.id() == [8; 16])).then_some(())
    });
    for n in 0..3 {
        cluster.put_acked(&format!("of the second {n}"));
    }
    cluster.converge();
    hears_alone_of(&mut cluster, 2, &first);
    goes_on(&mut cluster, 2);
}

#[test]
fn a_replica_that_was_taken_away_while_its_node_was_dead_goes_when_the_node_comes_back() {
    let mut cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    cluster.put_acked("before");
    let moved = follower(&cluster);
    cluster.kill(moved);
    reassign(&cluster, (1..=3).filter(|id| *id != moved));
    cluster.start(moved);
    assert!(has_files(&cluster, moved));
    cluster.until("its files go", || (!has_files(&cluster, moved)).then_some(()));
    cluster.put_acked("after");
}
