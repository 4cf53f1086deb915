//! Clusters of real nodes on real disks, over channels, with a clock that is told the time: everything joined.

use crate::config::EngineConfig;
use crate::controller::{ControllerRequest, CreateTopic, Reply};
use crate::disk::{Disk, RealDisk};
use crate::error::{ErrorCode, Result};
use crate::node::{Node, Partition, Placed, World};
use crate::record::{BatchBuilder, RecordRef, SealedBatch};
use crate::replication::AckVerdict;
use crate::sim::{Call, CountingDisk, FaultKind, FaultyCalls, Repeat, SimClock, SimDisk};
use crate::storage::{Fetch, UpTo};
use crate::time::{Clock, Instant};
use crate::transport::{ChannelHub, Frame, Inbox, PeerStats, Receive, Transport};
use crate::types::{Acks, Codec, NodeId, Offset, TopicPartition};
use bytes::Bytes;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

mod old_decisions;
mod settings;
mod slow_disks;

const STEP: Duration = Duration::from_millis(10);

struct Seat {
    id: u32,
    dir: tempfile::TempDir,
    node: Option<Arc<Node>>,
    lives: u64,
    is_cut: Arc<AtomicBool>,
    /// Instead of a real one.
    disk: Option<SimDisk>,
    /// What it has in front of its disk.
    counting: Option<CountingDisk>,
    /// Another thread ticks it.
    is_elsewhere: AtomicBool,
}

/// A way out of a node that can be made to swallow everything: no connection breaks, and nothing arrives.
struct Cable {
    inner: Arc<dyn Transport>,
    is_cut: Arc<AtomicBool>,
}

struct Plug {
    inbox: Inbox,
    is_cut: Arc<AtomicBool>,
}

impl Transport for Cable {
    fn start(&self, me: NodeId, inbox: Inbox) -> Result<()> {
        self.inner.start(me, Inbox::new(Arc::new(Plug { inbox, is_cut: self.is_cut.clone() })))
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        if self.is_cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.inner.send(to, frame)
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        self.inner.set_peer(peer, address)
    }

    fn stop(&self) {
        self.inner.stop();
    }

    fn peer_stats(&self) -> Vec<PeerStats> {
        self.inner.peer_stats()
    }
}

impl Receive for Plug {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        if !self.is_cut.load(Ordering::SeqCst) {
            self.inbox.deliver(from, frame);
        }
    }

    fn deliver_parts(&self, from: NodeId, frame: Frame) {
        if !self.is_cut.load(Ordering::SeqCst) {
            self.inbox.deliver_parts(from, frame);
        }
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        self.inbox.peer_state(peer, up);
    }
}

struct Cluster {
    clock: Arc<SimClock>,
    hub: ChannelHub,
    seats: Vec<Seat>,
    settings: Vec<(String, String)>,
}

impl Cluster {
    fn new(nodes: u32, settings: &[(&str, &str)]) -> Cluster {
        Cluster::with_disks(nodes, settings, |_| None)
    }

    fn with_disks(nodes: u32, settings: &[(&str, &str)], disk: impl Fn(u32) -> Option<SimDisk>) -> Cluster {
        let clock = Arc::new(SimClock::default());
        clock.advance(Duration::from_secs(1));
        let voters: Vec<String> = (1..=nodes).map(|id| format!("{id}@inproc://n{id}")).collect();
        let mut all = vec![
            ("controller.quorum.voters".to_owned(), voters.join(",")),
            ("cluster.id".to_owned(), "AAAAAAAAAAAAAAAAAAAAAQ".to_owned()),
            ("num.partitions".to_owned(), "1".to_owned()),
        ];
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let dir = || tempfile::tempdir().expect("temp dir");
        let seat = |id| Seat {
            id,
            dir: dir(),
            node: None,
            lives: 0,
            is_cut: Arc::default(),
            disk: disk(id),
            counting: None,
            is_elsewhere: AtomicBool::new(false),
        };
        let mut cluster =
            Cluster { clock, hub: ChannelHub::new(), seats: (1..=nodes).map(seat).collect(), settings: all };
        (1..=nodes).for_each(|id| cluster.start(id));
        cluster
    }

    fn start(&mut self, id: u32) {
        let mut config = EngineConfig::default();
        for (name, value) in &self.settings {
            config.set(name, value).expect("legal");
        }
        config.set("node.id", &id.to_string()).expect("legal");
        config.set("listeners", &format!("inproc://n{id}")).expect("legal");
        let seat = &mut self.seats[id as usize - 1];
        let inner = Arc::new(self.hub.transport(&format!("n{id}")).expect("a free name"));
        let transport = Arc::new(Cable { inner, is_cut: seat.is_cut.clone() });
        seat.lives += 1;
        let disk = seat.disk.clone();
        let dir = if disk.is_some() { PathBuf::from("/data") } else { seat.dir.path().to_owned() };
        let disk = disk.map_or_else(|| Arc::new(RealDisk) as Arc<dyn Disk>, |disk| Arc::new(disk));
        let disk = CountingDisk::new(disk);
        seat.counting = Some(disk.clone());
        let world = World { clock: self.clock.clone(), disk: Arc::new(disk), seed: u64::from(id) * 1000 + seat.lives };
        seat.node = Some(Node::open_in_cluster(&dir, config, world, transport).expect("opens"));
    }

    /// The process dies; its files stay.
    fn kill(&mut self, id: u32) {
        self.seats[id as usize - 1].node = None;
    }

    fn node(&self, id: u32) -> &Arc<Node> {
        self.seats[id as usize - 1].node.as_ref().expect("lives")
    }

    fn alive(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(|seat| seat.node.is_some())
    }

    fn step(&self) {
        self.clock.advance(STEP);
        let now = self.clock.monotonic();
        for (seat, node) in self.seats.iter().filter_map(|seat| seat.node.clone().map(|node| (seat, node))) {
            if seat.is_elsewhere.load(Ordering::SeqCst) {
                node.beat(now);
            } else {
                node.tick(now);
            }
        }
    }

    /// Time passes until it is so; for a minute at the most.
    fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        for _ in 0..6_000 {
            if let Some(found) = look() {
                return found;
            }
            self.step();
        }
        let told: Vec<_> = self
            .alive()
            .flat_map(|seat| {
                let node = seat.node.as_ref().expect("is alive");
                std::iter::from_fn(|| node.poll_notice())
                    .map(|notice| format!("{}: {}", seat.id, notice.text))
                    .collect::<Vec<_>>()
            })
            .collect();
        let stand: Vec<_> = self.alive().map(|seat| (seat.id, self.partition(seat.id).map(|p| p.offsets()))).collect();
        panic!("not within a minute: {what}\n{}\n{stand:?}", told.join("\n"));
    }

    fn ask(&self, request: ControllerRequest) -> Result<Reply> {
        let node = self.alive().next().expect("somebody lives").node.clone().expect("lives");
        let member = node.member().expect("is a member").clone();
        let heard = Arc::new(Mutex::new(None));
        let told = heard.clone();
        let deadline = self.clock.monotonic() + Duration::from_secs(30);
        member.client().ask_controller(request, deadline, Box::new(move |answer| *told.lock() = Some(answer)));
        self.until("the controller answers", || heard.lock().take())
    }

    fn create(&self, name: &str, replicas: u32, settings: &[(&str, &str)]) {
        let create = CreateTopic {
            name: name.into(),
            id: [7; 16],
            partitions: Some(1),
            replication_factor: Some(replicas),
            assignments: Vec::new(),
            settings: settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        };
        self.until("every node takes part", || {
            let member = self.alive().next()?.node.as_ref()?.member()?.clone();
            let image = member.describe().image;
            (image.nodes().filter(|node| node.is_active()).count() == self.alive().count()).then_some(())
        });
        self.ask(ControllerRequest::CreateTopic(create)).expect("creates");
    }

    fn partition(&self, id: u32) -> Option<Arc<Partition>> {
        self.node(id).partition("t", 0).ok()
    }

    /// The one that leads and everybody alive agrees that it does.
    fn leader(&self) -> u32 {
        self.until("somebody leads", || {
            let mut leading = self.alive().filter(|seat| self.partition(seat.id).is_some_and(|p| p.is_leading()));
            let leader = leading.next()?.id;
            let agreed =
                self.alive().all(|seat| self.partition(seat.id).is_some_and(|p| p.leader() == Some(NodeId(leader))));
            (agreed && leading.next().is_none()).then_some(leader)
        })
    }

    fn leader_but(&self, old: u32) -> u32 {
        self.until("another leads", || {
            let mut others = self.alive().filter(|seat| seat.id != old);
            others.find(|seat| self.partition(seat.id).is_some_and(|p| p.is_leading())).map(|seat| seat.id)
        })
    }

    /// As a producer does: tries again as long as replicas are missing.
    fn put(&self, value: &str) -> (u32, Placed) {
        let leader = self.leader();
        let partition = self.partition(leader).expect("leads");
        let placed = self.until("enough replicas are in sync", || {
            match partition.append(&mut batch(value, self.clock.realtime().0), Acks::All) {
                Err(few) if few.code() == ErrorCode::NOT_ENOUGH_REPLICAS => None,
                other => Some(other.expect("appends")),
            }
        });
        (leader, placed)
    }

    fn put_acked(&self, value: &str) -> Offset {
        let (leader, placed) = self.put(value);
        let partition = self.partition(leader).expect("leads");
        self.until("it is acknowledged", || {
            let verdict = partition.judge_ack(placed.leader_epoch, placed.last_offset.next());
            assert_ne!(verdict, AckVerdict::NotLeader, "nothing happened to the leader");
            (verdict == AckVerdict::Done).then_some(placed.base_offset)
        })
    }

    fn bytes(&self, id: u32) -> Vec<u8> {
        let partition = self.partition(id).expect("is there");
        let offsets = partition.offsets().expect("offsets");
        let fetch =
            Fetch { from: offsets.log_start, bytes_max: 1 << 24, up_to: UpTo::HighWatermark, min_one_message: true };
        partition.read(fetch).expect("reads").batches.to_vec()
    }

    fn converge(&self) {
        self.until("all replicas are the same, below the high watermark and to the end", || {
            let offsets: Vec<_> = self.alive().map(|seat| self.partition(seat.id)?.offsets().ok()).collect();
            let first = offsets.first().copied()??;
            let same = offsets
                .iter()
                .all(|o| o.is_some_and(|o| o.log_end == first.log_end && o.high_watermark == first.log_end));
            same.then_some(())
        });
        let all: Vec<Vec<u8>> = self.alive().map(|seat| self.bytes(seat.id)).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "replicas differ below the high watermark");
    }
}

fn batch(value: &str, timestamp: i64) -> SealedBatch {
    let mut builder = BatchBuilder::new(Codec::None, None);
    builder.append(RecordRef { key: None, value: Some(value.as_bytes()), headers: &[] }, timestamp).expect("appends");
    builder.seal(None, false).expect("seals")
}

#[test]
fn three_nodes_elect_a_controller_create_a_topic_and_replicate_what_is_acknowledged() {
    let cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    for n in 0..20 {
        assert_eq!(cluster.put_acked(&format!("record {n}")), Offset(n));
    }
    cluster.converge();
}

#[test]
fn when_the_leader_dies_another_goes_on_with_everything_acknowledged_and_the_dead_one_catches_up() {
    let mut cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    for n in 0..5 {
        cluster.put_acked(&format!("before {n}"));
    }
    let dead = cluster.leader();
    cluster.kill(dead);
    let began = cluster.clock.monotonic();
    let next = cluster.until("another leads", || {
        cluster.alive().find(|seat| cluster.partition(seat.id).is_some_and(|p| p.is_leading())).map(|seat| seat.id)
    });
    assert!(cluster.clock.monotonic().since(began) < Duration::from_secs(3), "with default settings");
    assert_ne!(next, dead);
    for n in 0..5 {
        cluster.put_acked(&format!("after {n}"));
    }
    assert_eq!(cluster.partition(next).expect("leads").offsets().expect("offsets").log_end, Offset(10));
    cluster.start(dead);
    cluster.until("the dead one is in sync again", || {
        let isr = cluster.partition(cluster.leader())?.in_sync_replicas()?;
        (isr.len() == 3).then_some(())
    });
    cluster.put_acked("all together");
    cluster.converge();
}

#[test]
fn whoever_waits_for_a_node_that_has_fallen_silent_hears_when_the_cluster_gives_it_up() {
    let cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    cluster.put_acked("before");
    let silent = cluster.leader();
    let other = (1..=3).find(|id| *id != silent).expect("one of the others");
    cluster.seats[silent as usize - 1].is_cut.store(true, Ordering::SeqCst);
    let began = cluster.clock.monotonic();
    let client = cluster.node(other).member().expect("is a member").client().clone();
    let produce = || {
        let bytes = Bytes::copy_from_slice(batch("x", cluster.clock.realtime().0).bytes());
        let (heard, deadline) = (Arc::new(Mutex::new(None)), cluster.clock.monotonic() + Duration::from_secs(30));
        let told = heard.clone();
        let done = Box::new(move |answer| *told.lock() = Some(answer));
        client.produce(&TopicPartition::new("t", 0), vec![bytes], Acks::All, deadline, done);
        cluster.until("it has an answer", || heard.lock().take())
    };
    assert_eq!(produce().expect_err("nobody answers").code(), ErrorCode::NETWORK_EXCEPTION);
    assert!(cluster.clock.monotonic().since(began) < Duration::from_secs(5), "not request.timeout.ms");
    assert_eq!(produce().expect("the next leader answers").base_offset, Some(Offset(1)));
}

#[test]
fn all_nodes_die_at_once_and_come_back_with_everything_acknowledged() {
    let mut cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    for n in 0..5 {
        cluster.put_acked(&format!("before {n}"));
    }
    (1..=3).for_each(|id| cluster.kill(id));
    (1..=3).for_each(|id| cluster.start(id));
    assert_eq!(cluster.put_acked("after"), Offset(5));
    cluster.converge();
}

#[test]
fn a_node_that_leaves_in_order_hands_over_and_no_append_fails_for_long() {
    let mut cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    cluster.put_acked("before");
    let leaving = cluster.leader();
    let node = cluster.node(leaving).clone();
    node.begin_leaving();
    cluster.until("it has left", || node.has_left().then_some(()));
    let next = cluster.leader();
    assert_ne!(next, leaving);
    let report = node.close(Instant(u64::MAX)).expect("closes");
    assert!(report.is_clean(), "{report}");
    drop(node);
    cluster.kill(leaving);
    cluster.put_acked("while it is away");
    cluster.start(leaving);
    cluster.until("it is in sync again", || {
        (cluster.partition(cluster.leader())?.in_sync_replicas()?.len() == 3).then_some(())
    });
    cluster.converge();
}

#[test]
fn a_directory_of_a_member_is_not_opened_alone() {
    let mut cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[]);
    cluster.put_acked("one");
    cluster.kill(1);
    let world = World { clock: cluster.clock.clone(), disk: Arc::new(RealDisk), seed: 1 };
    let refused = Node::open(cluster.seats[0].dir.path(), EngineConfig::default(), world).expect_err("is refused");
    assert_eq!(refused.code(), ErrorCode::STATE);
    assert!(refused.message().contains("controller.quorum.voters"), "{refused}");
}

#[test]
fn a_leader_whose_disk_has_failed_resigns_and_another_of_those_in_sync_goes_on() {
    let cluster = Cluster::with_disks(3, &[], |id| Some(SimDisk::new(u64::from(id))));
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    cluster.put_acked("before");
    let broken = cluster.leader();
    let (seat, partition) = (&cluster.seats[broken as usize - 1], cluster.partition(broken).expect("leads"));
    let disk = seat.disk.as_ref().expect("is a made-up one");
    disk.fail_nth(FaultyCalls::Only(Call::Write), 1, FaultKind::Eio, Repeat::Once);
    let failed = partition.append(&mut batch("lost", 1), Acks::All).expect_err("the disk fails");
    assert_eq!((failed.code(), disk.faults_fired()), (ErrorCode::KAFKA_STORAGE_ERROR, 1));
    let began = cluster.clock.monotonic();
    let next = cluster.leader_but(broken);
    assert!(cluster.clock.monotonic().since(began) < Duration::from_secs(1), "nobody waits for it to lag");
    let follower = cluster.partition(next).expect("leads");
    let placed = follower.append(&mut batch("after", 1), Acks::All).expect("appends");
    cluster.until("two of three acknowledge it", || {
        (follower.judge_ack(placed.leader_epoch, placed.last_offset.next()) == AckVerdict::Done).then_some(())
    });
    assert!(!follower.in_sync_replicas().expect("leads").contains(&NodeId(broken)));
}
