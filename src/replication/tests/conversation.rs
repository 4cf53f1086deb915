//! Leaders and followers that talk: the worked example of truncation, and the accidents that the KIPs are about.

use super::list_log::{Entry, ListLog};
use super::model::elector::Metadata;
use super::model::node::Node;
use super::model::world::{Message, Settings};
use crate::replication::{NodeEpoch, PartitionEpoch, PartitionState, Standing};
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset};
use std::time::Duration;

struct Cluster {
    nodes: Vec<Node>,
    metadata: Metadata,
    now: Instant,
    settings: Settings,
}

/// Nodes 1, 2, .. with these logs; nobody leads yet, all are in sync.
fn cluster(logs: Vec<ListLog>) -> Cluster {
    let ids: Vec<NodeId> = (1..=logs.len() as u32).map(NodeId).collect();
    let standing = Standing { node_epoch: Some(NodeEpoch(1)), ..Standing::default() };
    let metadata = Metadata {
        version: 0,
        leader: None,
        leader_epoch: LeaderEpoch(0),
        state: PartitionState {
            replicas: ids.clone(),
            in_sync_replicas: ids.clone(),
            partition_epoch: PartitionEpoch(0),
        },
        standings: ids.iter().map(|id| (*id, standing)).collect(),
    };
    let nodes = ids.iter().zip(logs).map(|(id, log)| Node { log, ..Node::new(*id, false) }).collect();
    let settings = Settings {
        min_isr: 1,
        lag_max: Duration::from_secs(30),
        records_max: 100,
        vouches_flushed: false,
        retains: false,
    };
    Cluster { nodes, metadata, now: Instant(1), settings }
}

impl Cluster {
    fn node(&mut self, id: u32) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    /// Node `leader` begins to reign in `epoch`; only `hears` hear of it.
    fn elect(&mut self, leader: u32, epoch: u32, isr: &[u32], hears: &[u32]) {
        self.metadata.version += 1;
        self.metadata.leader = Some(NodeId(leader));
        self.metadata.leader_epoch = LeaderEpoch(epoch);
        self.metadata.state.partition_epoch.0 += 1;
        self.metadata.state.in_sync_replicas = isr.iter().copied().map(NodeId).collect();
        for id in hears {
            self.nodes[*id as usize - 1].handle_metadata(&self.metadata, &self.settings, self.now);
        }
    }

    /// One fetch of `follower` and its answer.
    fn round(&mut self, follower: u32) {
        self.now = self.now + Duration::from_millis(500);
        let now = self.now;
        self.node(follower).tick(now);
        let Some(Message::Fetch { from, to, node_epoch, request }) = self.node(follower).outbox.pop() else { return };
        self.node(to.0).handle_fetch(from, node_epoch, &request, now);
        let outbox = std::mem::take(&mut self.node(to.0).outbox);
        for message in outbox {
            if let Message::Response { from, response, .. } = message {
                self.node(follower).handle_response(from, response, now).unwrap();
            }
        }
    }

    fn append(&mut self, leader: u32, value: u64) {
        let now = self.now;
        self.node(leader).append(Acks::All, value, now);
    }

    /// Dies and comes back with what is left of its log.
    fn restart(&mut self, id: u32, end: u64) {
        self.node(id).crash(end);
        let node = self.node(id);
        node.is_up = true;
        node.node_epoch.0 += 1;
        let life = node.node_epoch;
        self.metadata.standings.insert(NodeId(id), Standing { node_epoch: Some(life), ..Standing::default() });
    }

    fn entries(&mut self, id: u32) -> Vec<(u32, u64)> {
        self.node(id).log.entries.iter().map(|entry| (entry.epoch, entry.value)).collect()
    }

    fn ends(&mut self, id: u32) -> (u64, u64) {
        let node = self.node(id);
        (node.high_watermark.0, node.log.end())
    }
}

#[test]
#[cfg_attr(feature = "bug-hw-truncation", ignore = "planted")]
fn epochs_that_interleave_take_several_rounds_to_part() {
    // The worked example of AbstractFetcherThreadTest: follower 0@0 2@1 4@2, leader 1@0 3@1 5@2.
    let leaders = ListLog::of(&[1, 3, 5]);
    let mut followers = ListLog::of(&[0, 2, 4]);
    followers.entries.iter_mut().for_each(|entry| entry.value += 100);
    let mut cluster = cluster(vec![leaders, followers]);
    cluster.elect(1, 6, &[1], &[1, 2]);
    let mut ends = Vec::new();
    for _ in 0..4 {
        cluster.round(2);
        ends.push((cluster.node(2).log.end(), cluster.node(2).log.epochs.clone()));
    }
    let expected = [
        (2, vec![(0, 0), (2, 1)]), // Fetch(3, F=4) diverges at (3, 2)
        (1, vec![(0, 0)]),         // Fetch(2, F=2) diverges at (1, 1)
        (0, vec![]),               // Fetch(1, F=0) diverges at (0, 0)
        (3, vec![(1, 0), (3, 1), (5, 2)]),
    ];
    assert_eq!(ends, expected);
    assert_eq!(cluster.entries(2), [(1, 0), (3, 1), (5, 2)]);
}

#[test]
fn kip_101_a_follower_that_restarts_keeps_what_it_has_vouched_for() {
    let mut cluster = cluster(vec![ListLog::default(), ListLog::default()]);
    cluster.elect(1, 0, &[1, 2], &[1, 2]);
    cluster.append(1, 7);
    cluster.append(1, 8);
    cluster.round(2);
    cluster.round(2);
    // The leader has committed both; the follower's checkpoint knows of none.
    assert_eq!((cluster.ends(1), cluster.node(1).acked.len()), ((2, 2), 2));
    cluster.restart(2, 2);
    assert_eq!(cluster.ends(2), (0, 2));
    // The leader dies before the follower has fetched again.
    cluster.elect(2, 1, &[2], &[2]);
    assert_eq!((cluster.entries(2), cluster.ends(2)), (vec![(0, 7), (0, 8)], (2, 2)));
}

#[test]
#[cfg_attr(feature = "bug-hw-truncation", ignore = "planted")]
fn kip_101_two_histories_of_one_length_are_told_apart() {
    // Both lost power. Node 2 leads with one record less, and writes another in its place.
    let mut cluster = cluster(vec![ListLog::of(&[0, 0]), ListLog::of(&[0])]);
    cluster.elect(2, 1, &[2], &[2]);
    cluster.append(2, 99);
    assert_eq!(cluster.entries(1), [(0, 0), (0, 1)]);
    cluster.elect(2, 1, &[2], &[1]);
    cluster.round(1);
    assert_eq!(cluster.entries(1), [(0, 0)]);
    cluster.round(1);
    assert_eq!(cluster.entries(1), [(0, 0), (1, 99)]);
    cluster.round(1);
    assert_eq!(cluster.ends(1), (2, 2));
}

#[test]
#[cfg_attr(feature = "bug-hw-truncation", ignore = "planted")]
fn kip_279_fast_leader_changes_leave_no_mixed_log() {
    // Node 1 led in epoch 1, node 2 in epoch 2 without seeing that; then node 1 in epoch 3.
    let first = ListLog::of(&[0, 0, 1, 1]);
    let mut second = ListLog::of(&[0, 0]);
    second.append(&[Entry { epoch: 2, value: 50 }, Entry { epoch: 2, value: 51 }, Entry { epoch: 2, value: 52 }]);
    let mut cluster = cluster(vec![first, second]);
    cluster.elect(1, 3, &[1], &[1, 2]);
    cluster.append(1, 60);
    for _ in 0..4 {
        cluster.round(2);
    }
    assert_eq!(cluster.entries(2), [(0, 0), (0, 1), (1, 2), (1, 3), (3, 60)]);
    assert_eq!(cluster.node(2).log.epochs, [(0, 0), (1, 2), (3, 4)]);
}

#[test]
#[cfg_attr(feature = "bug-hw-truncation", ignore = "planted")]
fn a_former_leader_that_wrote_nothing_drops_its_epoch_without_losing_a_record() {
    let mut cluster = cluster(vec![ListLog::of(&[0, 0]), ListLog::of(&[0, 0])]);
    cluster.elect(2, 1, &[1, 2], &[2]);
    cluster.elect(1, 2, &[1, 2], &[1, 2]);
    assert_eq!(cluster.node(2).log.epochs, [(0, 0), (1, 2)]);
    cluster.append(1, 9);
    cluster.round(2);
    assert_eq!((cluster.node(2).log.end(), cluster.node(2).log.epochs.clone()), (2, vec![(0, 0)]));
    cluster.round(2);
    assert_eq!(cluster.entries(2), [(0, 0), (0, 1), (2, 9)]);
}

#[test]
fn kip_966_the_last_replica_standing_commits_nothing_alone() {
    let mut cluster = cluster(vec![ListLog::default(), ListLog::default(), ListLog::default()]);
    cluster.settings.min_isr = 2;
    cluster.elect(1, 0, &[1, 2, 3], &[1, 2, 3]);
    cluster.append(1, 7);
    for follower in [2, 3, 2, 3] {
        cluster.round(follower);
    }
    assert_eq!(cluster.ends(1), (1, 1));
    // 2 and 3 are gone; what acks=1 writes now is not committed, so they may be elected from the ELR.
    cluster.elect(1, 0, &[1], &[1]);
    let now = cluster.now;
    cluster.node(1).append(Acks::Leader, 8, now);
    cluster.append(1, 9);
    assert_eq!(
        (cluster.ends(1), cluster.entries(1)),
        ((1, 2), vec![(0, 7), (0, 8)]),
        "and acks=all is not even written"
    );
    cluster.elect(2, 1, &[2], &[1, 2]);
    cluster.round(1);
    assert_eq!(cluster.entries(1), [(0, 7)]);
}

#[test]
fn kip_966_a_member_that_comes_back_without_its_data_joins_only_when_it_has_it_again() {
    let mut cluster = cluster(vec![ListLog::default(), ListLog::default()]);
    cluster.elect(1, 0, &[1, 2], &[1, 2]);
    for value in 0..5 {
        cluster.append(1, value);
    }
    cluster.settings.records_max = 2;
    cluster.round(2);
    cluster.round(2);
    assert_eq!(cluster.ends(1), (5, 5));
    cluster.restart(2, 0);
    cluster.elect(1, 0, &[1], &[1, 2]);
    cluster.round(2);
    let joins = |cluster: &mut Cluster| cluster.node(1).leader().unwrap().maximal_in_sync_replicas().len() == 2;
    assert!(!joins(&mut cluster));
    for _ in 0..2 {
        cluster.round(2);
        assert!(!joins(&mut cluster));
    }
    cluster.round(2);
    assert!(joins(&mut cluster), "{:?}", cluster.entries(2));
}

#[test]
#[cfg_attr(any(feature = "bug-no-fencing", feature = "bug-hw-truncation"), ignore = "planted")]
fn what_a_follower_said_in_an_old_reign_does_not_count_in_the_next() {
    let mut cluster = cluster(vec![ListLog::of(&[0]), ListLog::of(&[0]), ListLog::of(&[0])]);
    cluster.elect(1, 1, &[1, 2, 3], &[1, 2, 3]);
    cluster.append(1, 7);
    cluster.round(3);
    cluster.now = cluster.now + Duration::from_millis(500);
    let now = cluster.now;
    cluster.node(3).tick(now);
    let Some(Message::Fetch { from, node_epoch, request, .. }) = cluster.node(3).outbox.pop() else { panic!() };
    assert_eq!(request.vouched, Offset(2));
    // Node 2 reigns, and 3 follows it; 1 sleeps through all of it.
    cluster.elect(2, 2, &[1, 2, 3], &[2, 3]);
    cluster.round(3);
    assert_eq!(cluster.node(3).log.end(), 1);
    cluster.elect(1, 3, &[1, 2, 3], &[1, 2]);
    cluster.round(2);
    cluster.round(2);
    cluster.node(1).handle_fetch(from, node_epoch, &request, now);
    assert_eq!(cluster.ends(1), (0, 2), "node 3 has not got the second record");
}

#[test]
fn a_follower_below_the_leaders_log_start_begins_anew_there() {
    let mut leaders = ListLog::of(&[0, 0, 0, 0, 0]);
    leaders.raise_start(3);
    let mut cluster = cluster(vec![leaders, ListLog::of(&[0])]);
    cluster.elect(1, 1, &[1], &[1, 2]);
    cluster.round(2);
    assert_eq!(
        (cluster.node(2).log.start, cluster.node(2).log.end(), cluster.node(2).high_watermark),
        (3, 3, Offset(3))
    );
    cluster.round(2);
    assert_eq!((cluster.entries(2), cluster.ends(2)), (vec![(0, 3), (0, 4)], (5, 5)));
}

#[test]
fn log_starts_follow_the_leaders() {
    let mut cluster = cluster(vec![ListLog::of(&[0, 0, 0]), ListLog::default()]);
    cluster.elect(1, 1, &[1], &[1, 2]);
    cluster.round(2);
    assert_eq!(cluster.ends(2), (3, 3));
    let now = cluster.now;
    cluster.node(1).retain(2, now);
    cluster.round(2);
    assert_eq!((cluster.node(2).log.start, cluster.node(2).log.end()), (2, 3));
}

#[test]
fn an_unclean_leader_takes_everybody_down_to_its_own_end() {
    let mut cluster = cluster(vec![ListLog::of(&[0, 0, 0]), ListLog::of(&[0])]);
    cluster.elect(2, 1, &[2], &[1, 2]);
    cluster.append(2, 77);
    for _ in 0..3 {
        cluster.round(1);
    }
    assert_eq!(cluster.entries(1), [(0, 0), (1, 77)]);
}
