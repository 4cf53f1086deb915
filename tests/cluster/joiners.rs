//! Nodes that join later: nobody makes them known, and they take over what others had while producers go on.

use crate::world::{id, producer, put, take, until, Cluster, PATIENCE};
use kafkalog::{Acks, Engine, NodeId, NodeSeat, Record, StartAt, TopicConfig};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Ends the sending also where the test fails: its thread is waited for.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Sends one record after the other until it is told to stop; says how many were acknowledged.
fn send_until(engine: &Engine, stop: &AtomicBool) -> usize {
    let sender = engine.producer().acks(Acks::All).linger(Duration::ZERO).open().expect("opens");
    let mut count = 0;
    while !stop.load(Ordering::Acquire) {
        let sent = sender.send(Record::new("t", &format!("{count}"))).and_then(|delivery| delivery.wait());
        sent.expect("no send fails because replicas move");
        count += 1;
    }
    count
}

fn safe(partitions: u32) -> TopicConfig {
    TopicConfig::new().partitions(partitions).replication(3).set("min.insync.replicas", "2").expect("legal")
}

fn wait_for_replicas(cluster: &Cluster, members: &[u32], target: &[u32]) {
    let target: Vec<NodeId> = target.iter().copied().map(NodeId).collect();
    for member in members {
        until("the replicas are there, and in sync", || {
            let found = cluster.engine(*member).describe_replicas("t", 0).ok()?;
            let (mut isr, mut wanted) = (found.isr, target.clone());
            isr.sort_unstable();
            wanted.sort_unstable();
            (found.replicas == target && isr == wanted).then_some(())
        });
    }
}

fn wait_until_without_files(cluster: &Cluster, member: u32) {
    let dir = cluster.engine(member).dir().join("t-0");
    until("the files of the replica that left are gone", || (!dir.exists()).then_some(()));
}

#[test]
fn a_node_joins_takes_over_from_a_leader_and_leaves_again_and_no_send_fails() {
    let mut cluster = Cluster::new();
    cluster.engine(1).create_topic("t", safe(1)).expect("creates");
    cluster.wait_for_topic("t");
    let stop = AtomicBool::new(false);
    let own = cluster.engine(2).clone();
    let sent = thread::scope(|scope| {
        let sending = scope.spawn(|| send_until(&own, &stop));
        let stopping = Stop(&stop);
        let joined = cluster.join(&[]);
        cluster.wait_for_members(4);
        assert!(cluster.engine(joined).takes_part().expect("is a member"));

        // Away from whoever leads, so that the lead moves, too.
        let leader = cluster.leader("t");
        let stay: Vec<u32> = (1..=3).filter(|member| *member != leader).collect();
        let target = [joined, stay[0], stay[1]];
        cluster.engine(joined).reassign("t", 0, Some(target.map(NodeId).to_vec())).expect("is decided");
        wait_for_replicas(&cluster, &[1, 2, 3, 4], &target);
        wait_until_without_files(&cluster, leader);

        // And away from the new one, for good.
        until("nothing is left on it", || (cluster.engine(1).decommission(NodeId(joined)).ok()? == 0).then_some(()));
        wait_for_replicas(&cluster, &[1, 2, 3, 4], &[leader, stay[0], stay[1]]);
        wait_until_without_files(&cluster, joined);
        drop(stopping);
        sending.join().expect("no send failed")
    });
    assert!(sent > 0);
    let expected: Vec<String> = (0..sent).map(|n| n.to_string()).collect();
    // A follower hears of the high watermark one fetch later: the leader's is what counts.
    let leader = cluster.engine(cluster.leader("t"));
    let end = leader.describe_replicas("t", 0).expect("is told").high_watermark.expect("the leader knows").0;
    for member in 1..=4 {
        let mut consumer = cluster.engine(member).consumer().assign(id("t"), StartAt::Earliest).open().expect("opens");
        let mut found = take(&mut consumer, usize::try_from(end).expect("a few"));
        // At least once: what was under way when the leader changed was sent again.
        found.dedup();
        assert_eq!(found, expected, "at node {member}");
    }
}

#[test]
fn a_node_that_joined_becomes_a_voter_and_another_one_retires() {
    let mut cluster = Cluster::new();
    let joined = cluster.join(&[]);
    cluster.wait_for_members(4);
    let is_so = |voters: &[u32], learners: &[u32]| {
        for member in 2..=4 {
            until("everybody knows who votes", || {
                let found = cluster.engine(member).describe_cluster().ok()?;
                let numbers = |nodes: Vec<NodeId>| nodes.into_iter().map(|node| node.0).collect::<Vec<_>>();
                (numbers(found.voters) == voters && numbers(found.learners) == learners).then_some(())
            });
        }
    };
    // It gets the metadata without being asked to vote.
    is_so(&[1, 2, 3], &[joined]);
    cluster.engine(2).change_voters(NodeId(joined), NodeSeat::Voter).expect("is decided");
    is_so(&[1, 2, 3, 4], &[]);
    until("node 1 votes no more", || cluster.engine(3).change_voters(NodeId(1), NodeSeat::None).ok());
    let voters = || cluster.engine(joined).describe_cluster().expect("is known").voters;
    until("three vote", || (voters() == [2, 3, 4].map(NodeId)).then_some(()));
    // Two of the three that vote now are a majority, with the one that came later and without the one that retired.
    cluster.cut_off(1);
    cluster.cut_off(2);
    // They decide that the others are gone; before, a new topic may be given to just those two.
    cluster.wait_for_members(2);
    let decided = cluster.engine(joined).within(PATIENCE).create_topic("t", TopicConfig::new().replication(2));
    decided.expect("node 3 and the one that joined are enough");
    cluster.wait_for_topic("t");
    let mut replicas = cluster.replicas("t");
    replicas.sort_unstable();
    assert_eq!(replicas, [3, joined]);
    put(&producer(cluster.engine(3)), "t", "v").expect("is acknowledged");
}
