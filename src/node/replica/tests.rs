//! Three replicas of one partition on real disks, led and followed by hand: what the roles promise.

use super::super::append::Placed;
use super::super::cluster::{Known, Serving};
use super::super::house::House;
use super::moved::{Links, Moved};
use super::orders::Orders;
use crate::config::{ClusterConfig, EngineConfig, TopicOverrides};
use crate::controller::PartitionState;
use crate::disk::RealDisk;
use crate::error::{ErrorCode, Result};
use crate::node::{Node, Partition, World};
use crate::record::{BatchBuilder, RecordRef, SealedBatch};
use crate::replication::{AckVerdict, FetchOutcome, IsrVerdict, NodeEpoch, PartitionEpoch, Standing};
use crate::sim::SimClock;
use crate::storage::{Fetch, UpTo};
use crate::time::Clock;
use crate::types::{Acks, Codec, LeaderEpoch, NodeId, Offset, Rung};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

mod damage;
mod settings;
mod watermark;

const BYTES: u32 = 1 << 20;
const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// Writes down what it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<Moved>>);

impl Links for Recorder {
    fn moved(&self, _: &Partition, moved: &Moved) {
        self.0.lock().push(moved.clone());
    }
}

struct Replica {
    _dir: tempfile::TempDir,
    node: Node,
    links: Arc<Recorder>,
}

pub(super) struct Trio {
    clock: Arc<SimClock>,
    replicas: Vec<Replica>,
    config: ClusterConfig,
    state: PartitionState,
}

impl Trio {
    pub(super) fn new(settings: &[(&str, &str)]) -> Trio {
        let clock = Arc::new(SimClock::default());
        clock.advance(Duration::from_secs(100));
        let replicas = NODES.map(|id| {
            let dir = tempfile::tempdir().expect("temp dir");
            let mut config = EngineConfig::default();
            config.set("node.id", &id.to_string()).expect("legal");
            let links = Arc::new(Recorder::default());
            let world = World { clock: clock.clone(), disk: Arc::new(RealDisk), seed: 1 };
            let node = Node::open_with(dir.path(), config, world, Some(links.clone())).expect("opens");
            let mut overrides = TopicOverrides::new();
            settings.iter().for_each(|(name, value)| overrides.set(name, value).expect("legal"));
            node.create_topic("t", 1, 1, &overrides).expect("creates");
            Replica { _dir: dir, node, links }
        });
        let state = PartitionState { replicas: NODES.to_vec(), isr: NODES.to_vec(), ..PartitionState::default() };
        let config = EngineConfig::default().cluster;
        Trio { clock, replicas: replicas.into(), config, state }
    }

    pub(super) fn of(&self, node: u32) -> Arc<Partition> {
        self.replicas[node as usize - 1].node.partition("t", 0).expect("is there")
    }

    /// The next reign, under `leader` (`None`: nobody), with this ISR; everybody alive hears of it.
    pub(super) fn reign(&mut self, leader: Option<u32>, isr: &[u32]) {
        self.state.leader = leader.map(NodeId);
        self.state.leader_epoch = LeaderEpoch(self.state.leader_epoch.0 + 1);
        self.state.partition_epoch += 1;
        self.state.isr = isr.iter().map(|node| NodeId(*node)).collect();
        NODES.iter().for_each(|node| self.tell(node.0));
    }

    fn tell(&self, node: u32) {
        let standings = NODES.map(|node| (node, Standing { node_epoch: Some(NodeEpoch(1)), ..Standing::default() }));
        let _ = self.of(node).take_orders(&Orders {
            state: &self.state,
            node_epoch: Some(NodeEpoch(1)),
            standings: &standings,
            config: &self.config,
            now: self.clock.monotonic(),
        });
    }

    pub(super) fn put(&self, node: u32, value: &str, acks: Acks) -> Result<Placed> {
        self.of(node).append(&mut batch(value, self.clock.realtime().0), acks)
    }

    /// One fetch of a follower and its answer; how many bytes came, `None` when nothing is due or nothing is new.
    fn fetch(&self, follower: u32, known: Option<Known>) -> Option<usize> {
        self.clock.advance(Duration::from_millis(1));
        let (leader, _) = self.leader_of(follower)?;
        let now = self.clock.monotonic();
        let request = self.of(follower).poll_fetch(leader, now)?;
        let (from, node_epoch) = (NodeId(follower), NodeEpoch(1));
        let serving = Serving { from, node_epoch, is_new: true, known, bytes_max: BYTES, is_first: true };
        let answer = self.of(leader.0).serve_fetch(serving, &request, now)?;
        let bytes = match &answer.outcome {
            FetchOutcome::Records(records) => records.len(),
            FetchOutcome::Diverging { .. } | FetchOutcome::Error(_) => 0,
        };
        self.of(follower).handle_fetch_response(leader, answer, now);
        Some(bytes)
    }

    fn leader_of(&self, node: u32) -> Option<(NodeId, LeaderEpoch)> {
        let partition = self.of(node);
        Some((partition.leader()?, partition.leader_epoch()))
    }

    /// Fetches until nothing new comes any more.
    fn catch_up(&self, follower: u32) {
        let mut ends = (Offset(0), Offset(0));
        for _ in 0..200 {
            let _ = self.fetch(follower, None); // nothing may be due
            self.clock.advance(self.config.fetch_backoff);
            let offsets = self.of(follower).offsets().expect("offsets");
            let now = (offsets.log_end, offsets.high_watermark);
            let leader = self.of(self.state.leader.expect("somebody leads").0).offsets().expect("offsets");
            if now == ends && now == (leader.log_end, leader.high_watermark) {
                return;
            }
            ends = now;
        }
        panic!("node {follower} does not catch up: {ends:?}");
    }

    fn high_watermark(&self, node: u32) -> Offset {
        self.of(node).offsets().expect("offsets").high_watermark
    }

    fn bytes(&self, node: u32) -> Vec<u8> {
        let from = self.of(node).offsets().expect("offsets").log_start;
        let fetch = Fetch { from, bytes_max: BYTES as usize, up_to: UpTo::LogEnd, min_one_message: true };
        self.of(node).read(fetch).expect("reads").batches.to_vec()
    }

    fn told(&self, node: u32) -> Vec<Moved> {
        std::mem::take(&mut *self.replicas[node as usize - 1].links.0.lock())
    }

    fn house(&self, node: u32) -> &House {
        &self.replicas[node as usize - 1].node.house
    }
}

fn batch(value: &str, timestamp: i64) -> SealedBatch {
    let mut builder = BatchBuilder::new(Codec::None, None);
    builder.append(RecordRef { key: None, value: Some(value.as_bytes()), headers: &[] }, timestamp).expect("appends");
    builder.seal(None, false).expect("seals")
}

#[test]
fn an_append_is_replicated_when_every_in_sync_replica_has_fetched_past_it() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    let placed = trio.put(1, "one", Acks::All).expect("appends");
    assert_eq!((placed.rung, placed.leader_epoch), (Rung::Written, LeaderEpoch(1)));
    let end = placed.last_offset.next();
    let verdict = || trio.of(1).judge_ack(placed.leader_epoch, end);
    assert!(trio.fetch(2, None).is_some_and(|bytes| bytes > 0) && trio.fetch(3, None).is_some_and(|bytes| bytes > 0));
    assert_eq!(verdict(), AckVerdict::Wait, "they have it, and have not said so");
    trio.fetch(2, None);
    assert_eq!(verdict(), AckVerdict::Wait, "one is missing");
    trio.fetch(3, None);
    assert_eq!(verdict(), AckVerdict::Done);
    trio.catch_up(2);
    trio.catch_up(3);
    assert_eq!((trio.high_watermark(2), trio.high_watermark(3)), (Offset(1), Offset(1)));
    assert!(trio.bytes(1) == trio.bytes(2) && trio.bytes(2) == trio.bytes(3), "byte by byte the same");
}

#[test]
fn whoever_does_not_lead_refuses_and_says_who_does() {
    let mut trio = Trio::new(&[]);
    let nobody = trio.put(2, "early", Acks::Leader).expect_err("nobody leads");
    assert_eq!(nobody.code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    trio.reign(Some(1), &[1, 2, 3]);
    let refused = trio.put(2, "astray", Acks::Leader).expect_err("node 1 leads");
    assert_eq!(refused.code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert!(refused.message().contains("node 1 leads"), "{refused}");
    assert!(trio.of(2).append_verbatim(batch("x", 0).bytes()).is_err() && trio.of(2).truncate_to(Offset(0)).is_err());
}

#[test]
fn acks_all_is_refused_unwritten_while_the_isr_is_too_small() {
    let mut trio = Trio::new(&[("min.insync.replicas", "2")]);
    trio.reign(Some(1), &[1]);
    let refused = trio.put(1, "lonely", Acks::All).expect_err("too few");
    assert_eq!(refused.code(), ErrorCode::NOT_ENOUGH_REPLICAS);
    assert!(refused.message().contains("min.insync.replicas is 2"), "{refused}");
    assert_eq!(trio.of(1).offsets().expect("offsets").log_end, Offset(0));
    trio.put(1, "acks=1 goes on", Acks::Leader).expect("appends");
    assert_eq!(trio.high_watermark(1), Offset(0), "nothing is committed by one");
}

#[test]
fn a_replica_that_caught_up_is_proposed_for_the_isr_and_counts_when_it_is_in() {
    let mut trio = Trio::new(&[("min.insync.replicas", "2")]);
    trio.reign(Some(1), &[1]);
    trio.put(1, "one", Acks::Leader).expect("appends");
    trio.told(1);
    trio.fetch(2, None);
    trio.fetch(2, None);
    let proposals: Vec<_> = trio.told(1).into_iter().filter_map(|moved| moved.proposal).collect();
    let proposal = proposals.first().expect("is proposed").clone();
    let members: Vec<NodeId> = proposal.in_sync_replicas.iter().map(|member| member.node).collect();
    assert_eq!(members, [NodeId(1), NodeId(2)]);
    let outcome = Ok((members, PartitionEpoch(proposal.partition_epoch.0 + 1)));
    let verdict = IsrVerdict { leader_epoch: proposal.leader_epoch, proposed_upon: proposal.partition_epoch, outcome };
    trio.of(1).handle_isr_verdict(verdict, trio.clock.monotonic());
    assert_eq!(trio.of(1).in_sync_replicas(), Some(vec![NodeId(1), NodeId(2)]));
    assert_eq!(trio.high_watermark(1), Offset(1));
    trio.put(1, "two", Acks::All).expect("two are enough");
}

#[test]
fn a_follower_cuts_what_the_new_leader_does_not_have_and_ends_byte_identical() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    trio.put(1, "common", Acks::Leader).expect("appends");
    trio.catch_up(2);
    trio.catch_up(3);
    trio.catch_up(2);
    for lost in ["lost one", "lost two", "lost three"] {
        trio.put(1, lost, Acks::Leader).expect("appends");
    }
    trio.reign(Some(2), &[2, 3]);
    trio.put(2, "of the new reign", Acks::Leader).expect("appends");
    trio.catch_up(3);
    trio.catch_up(1);
    trio.catch_up(3);
    assert!(trio.bytes(1) == trio.bytes(2) && trio.bytes(2) == trio.bytes(3));
    assert_eq!(trio.of(1).offsets().expect("offsets").log_end, Offset(2));
    let epochs = trio.of(1).leader_epochs().expect("epochs");
    assert_eq!(epochs, trio.of(2).leader_epochs().expect("epochs"));
}

/// Counts how often it is told.
#[derive(Default)]
struct Bell(Mutex<u32>);

impl crate::node::Notify for Bell {
    fn notify(&self) {
        *self.0.lock() += 1;
    }
}

#[test]
fn whoever_waits_for_an_acknowledgement_is_told_when_the_reign_ends() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    let placed = trio.put(1, "hanging", Acks::All).expect("appends");
    let bell = Arc::new(Bell::default());
    let told = trio.of(1).subscribe(bell.clone());
    trio.reign(Some(2), &[2, 3]);
    assert!(*bell.0.lock() > 0);
    assert_eq!(trio.of(1).judge_ack(placed.leader_epoch, Offset(1)), AckVerdict::NotLeader);
    trio.reign(Some(1), &[1, 2, 3]);
    let of_another_reign = trio.of(1).judge_ack(placed.leader_epoch, Offset(1));
    assert_eq!(of_another_reign, AckVerdict::NotLeader, "nobody can tell");
    drop(told);
}

#[test]
fn whoever_waits_for_an_acknowledgement_is_told_by_the_last_fetch() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    let placed = trio.put(1, "one", Acks::All).expect("appends");
    let bell = Arc::new(Bell::default());
    let told = trio.of(1).subscribe(bell.clone());
    for follower in [2, 3, 2] {
        trio.fetch(follower, None);
        assert_eq!(*bell.0.lock(), 0, "somebody has not said that he has it");
    }
    trio.fetch(3, None);
    assert_eq!(*bell.0.lock(), 1);
    assert_eq!(trio.of(1).judge_ack(placed.leader_epoch, Offset(1)), AckVerdict::Done);
    assert_eq!(trio.of(1).wait_for(Offset(1), Rung::Replicated, None).expect("is there"), Rung::Replicated);
    drop(told);
}

#[test]
fn an_append_whose_reign_is_over_is_not_acknowledged_by_what_took_its_place() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    let placed = trio.put(1, "lost", Acks::All).expect("appends");
    trio.reign(Some(2), &[2, 3]);
    trio.put(2, "kept", Acks::All).expect("appends");
    trio.catch_up(3);
    trio.catch_up(1);
    assert_eq!(trio.high_watermark(1), Offset(1));
    let refused = trio.of(1).wait_acked(placed.leader_epoch, Offset(1), None).expect_err("it is not in the log");
    assert_eq!(refused.code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
}

#[test]
fn a_fetch_that_would_say_nothing_new_is_left_unanswered() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    let known = Some(Known { high_watermark: Offset(0), log_start: Offset(0) });
    assert_eq!(trio.fetch(2, known), None);
}

#[test]
fn with_flush_messages_1_nothing_counts_before_it_is_flushed_on_every_replica() {
    let mut trio = Trio::new(&[("flush.messages", "1")]);
    trio.reign(Some(1), &[1, 2, 3]);
    trio.put(1, "one", Acks::All).expect("appends");
    for _ in 0..3 {
        trio.fetch(2, None);
        trio.fetch(3, None);
    }
    assert_eq!(trio.of(2).offsets().expect("offsets").flushed, Offset(1), "a follower flushes before it says so");
    assert_eq!(trio.high_watermark(1), Offset(0), "the leader has not flushed");
    assert_eq!(trio.of(1).wait_for(Offset(1), Rung::Replicated, None).expect("flushes"), Rung::Replicated);
}

#[test]
fn a_follower_that_is_behind_the_leaders_log_start_begins_anew_there() {
    let mut trio = Trio::new(&[("segment.bytes", "1024")]);
    trio.reign(Some(1), &[1, 2]);
    let value = "x".repeat(600);
    for _ in 0..5 {
        trio.put(1, &value, Acks::Leader).expect("appends");
    }
    trio.catch_up(2);
    trio.catch_up(2);
    trio.of(1).delete_records(Some(Offset(3))).expect("deletes");
    trio.catch_up(3);
    let offsets = trio.of(3).offsets().expect("offsets");
    assert_eq!((offsets.log_start, offsets.log_end), (Offset(3), Offset(5)));
    assert!(trio.bytes(3) == trio.bytes(1));
    trio.put(1, "and on it goes", Acks::Leader).expect("appends");
    trio.catch_up(3);
    assert!(trio.bytes(3) == trio.bytes(1));
}

#[test]
fn whoever_waits_until_records_are_deleted_everywhere_is_told_by_the_last_replica() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    trio.put(1, "one", Acks::Leader).expect("appends");
    for _ in 0..2 {
        trio.catch_up(2);
        trio.catch_up(3);
    }
    trio.of(1).delete_records(Some(Offset(1))).expect("deletes");
    trio.told(1);
    let is_told = |trio: &Trio| trio.told(1).iter().any(|moved| moved.low_watermark);
    trio.catch_up(2);
    trio.catch_up(2);
    assert!(!is_told(&trio), "one replica has them still");
    trio.catch_up(3);
    trio.catch_up(3);
    assert!(is_told(&trio));
    assert_eq!(trio.of(1).low_watermark(), Some(Offset(1)));
}

#[test]
fn a_node_that_the_metadata_know_in_another_life_leads_nothing() {
    let trio = Trio::new(&[]);
    let state = PartitionState {
        replicas: NODES.to_vec(),
        isr: NODES.to_vec(),
        leader: Some(NodeId(1)),
        leader_epoch: LeaderEpoch(4),
        ..PartitionState::default()
    };
    let orders =
        Orders { state: &state, node_epoch: None, standings: &[], config: &trio.config, now: trio.clock.monotonic() };
    assert!(trio.of(1).take_orders(&orders));
    let refused = trio.put(1, "of a dead reign", Acks::Leader).expect_err("leads nothing");
    assert_eq!(refused.code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert!(trio.house(1).links.is_some());
}

#[test]
fn orders_of_an_earlier_reign_change_nothing() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    let old = trio.state.clone();
    trio.reign(Some(2), &[2, 3]);
    let newest = std::mem::replace(&mut trio.state, old);
    trio.tell(1);
    trio.tell(2);
    assert!(!trio.of(1).is_leading() && trio.of(2).is_leading());
    assert_eq!(trio.leader_of(1), Some((NodeId(2), newest.leader_epoch)));
}

#[test]
fn batches_of_a_client_that_follows_another_reign_are_refused_all_together() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    trio.reign(Some(1), &[1, 2, 3]);
    let foreign = Bytes::copy_from_slice(batch("a", trio.clock.realtime().0).bytes());
    let put =
        |epoch| trio.of(1).append_raw_all(&[foreign.clone(), foreign.clone()], Some(LeaderEpoch(epoch)), Acks::Leader);
    let now = trio.of(1).leader_epoch().0;
    assert_eq!(put(now - 1).expect_err("of the reign before").code(), ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(put(now + 1).expect_err("of one to come").code(), ErrorCode::UNKNOWN_LEADER_EPOCH);
    assert_eq!(trio.of(1).offsets().expect("offsets").log_end, Offset(0));
    let placed = put(now).expect("appends");
    assert_eq!((placed.base_offset, placed.last_offset, placed.leader_epoch.0), (Offset(0), Offset(1), now));
}
