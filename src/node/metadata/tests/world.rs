//! A quorum of runners in one thread: virtual time, a network that loses, repeats, reorders and cuts, disks that forget.

use super::checks::Seen;
use super::sim_place;
use crate::controller::*;
use crate::node::metadata::{
    Bringer, MetadataLog, MetadataPeers, MetadataRunner, MetadataSettings, MetadataSubscriber,
};
use crate::node::{Alarm, Notice};
use crate::sim::{FaultKind, FaultyCalls, Repeat, SimDisk};
use crate::time::Instant;
use crate::types::NodeId;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(5);
pub const SEGMENT_BYTES: u32 = 16 * 1024;

/// What a runner said since somebody listened.
#[derive(Default)]
pub struct Mouth {
    pub sent: Mutex<Vec<(NodeId, Vec<u8>)>>,
    pub replies: Mutex<Vec<(NodeId, ControllerResponse)>>,
    pub images: Mutex<Vec<Arc<Image>>>,
    pub leaders: Mutex<Vec<(Option<NodeId>, u64)>>,
    pub notices: Mutex<Vec<Notice>>,
    /// A call was left for the next tick.
    pub is_called: AtomicBool,
}

impl Alarm for Mouth {
    fn wake_by(&self, _: Instant) {
        self.is_called.store(true, Ordering::SeqCst);
    }
}

impl MetadataPeers for Mouth {
    fn send(&self, to: NodeId, message: RaftMessage) {
        self.sent.lock().push((to, message.encode()));
    }
    fn reply(&self, to: NodeId, _request_id: u64, response: ControllerResponse) {
        self.replies.lock().push((to, response));
    }
}

impl MetadataSubscriber for Mouth {
    fn image_changed(&self, image: &Arc<Image>, _changes: &[Change]) {
        self.images.lock().push(image.clone());
    }
    fn leader_changed(&self, leader: Option<NodeId>, term: u64) {
        self.leaders.lock().push((leader, term));
    }
    fn notice(&self, notice: &Notice) {
        self.notices.lock().push(notice.clone());
    }
}

pub struct Peer {
    pub disk: SimDisk,
    pub runner: Option<Arc<MetadataRunner>>,
    pub mouth: Arc<Mouth>,
    lives: u64,
    pub node_epoch: Option<u64>,
}

#[derive(Clone, Copy)]
pub struct Faults {
    pub lose: f64,
    pub repeat: f64,
    pub delay_steps: u64,
    pub crash: f64,
    pub cut: f64,
    pub work: f64,
}

pub const QUIET: Faults = Faults { lose: 0.0, repeat: 0.0, delay_steps: 2, crash: 0.0, cut: 0.0, work: 0.25 };
pub const ROUGH: Faults = Faults { lose: 0.08, repeat: 0.05, delay_steps: 8, crash: 0.01, cut: 0.006, work: 0.25 };

pub struct World {
    pub seed: u64,
    pub rng: fastrand::Rng,
    pub now: Instant,
    pub peers: BTreeMap<NodeId, Peer>,
    network: BTreeMap<(Instant, u64), (NodeId, NodeId, Vec<u8>)>,
    serial: u64,
    cuts: BTreeSet<(NodeId, NodeId)>,
    pub faults: Faults,
    pub seen: Seen,
    /// Topics whose creation was acknowledged.
    pub created: Arc<Mutex<BTreeSet<String>>>,
}

impl World {
    pub fn new(seed: u64, voters: u32, faults: Faults) -> World {
        let ids: Vec<NodeId> = (0..voters).map(NodeId).collect();
        let mut peers = BTreeMap::new();
        for id in &ids {
            let disk = SimDisk::new(seed * 10 + u64::from(id.0));
            assert!(MetadataLog::bootstrap(&sim_place(&disk, SEGMENT_BYTES), &ids).expect("bootstraps"));
            let mouth = Arc::new(Mouth::default());
            peers.insert(*id, Peer { disk, runner: None, mouth, lives: 0, node_epoch: None });
        }
        let mut world = World {
            seed,
            rng: fastrand::Rng::with_seed(seed),
            now: Instant(0),
            peers,
            network: BTreeMap::new(),
            serial: 0,
            cuts: BTreeSet::new(),
            faults,
            seen: Seen::default(),
            created: Arc::default(),
        };
        ids.into_iter().for_each(|id| world.start(id));
        world
    }

    pub fn start(&mut self, id: NodeId) {
        let peer = self.peers.get_mut(&id).expect("a peer");
        if peer.runner.is_some() {
            return;
        }
        peer.lives += 1;
        peer.node_epoch = None;
        peer.mouth = Arc::new(Mouth::default());
        let controller =
            ControllerConfig { session_timeout: Duration::from_millis(400), ..ControllerConfig::default() };
        let tick = Duration::from_millis(10);
        let quorum = QuorumConfig { tick, snapshot_entries: 30, ..QuorumConfig::default() };
        let settings = MetadataSettings { me: id, controller, quorum, seed: self.rng.u64(..) };
        let opened = MetadataRunner::open(
            sim_place(&peer.disk, SEGMENT_BYTES),
            settings,
            peer.mouth.clone(),
            peer.mouth.clone(),
            self.now,
        );
        let runner = opened.unwrap_or_else(|e| panic!("seed {}: node {id} does not open: {e}", self.seed));
        runner.subscribe(peer.mouth.clone());
        peer.runner = Some(Arc::new(runner));
        self.listen(id);
    }

    /// The process dies, and with it what the disk had not synced if the power goes, too.
    pub fn kill(&mut self, id: NodeId, power_too: bool) {
        let seed = self.rng.u64(..);
        let peer = self.peers.get_mut(&id).expect("a peer");
        peer.runner = None;
        peer.disk.clear_faults();
        peer.disk = if power_too { peer.disk.crash(seed) } else { peer.disk.restart() };
        peer.mouth.sent.lock().clear();
    }

    pub fn alive(&self) -> Vec<NodeId> {
        self.peers.iter().filter(|(_, peer)| peer.runner.is_some()).map(|(id, _)| *id).collect()
    }

    pub fn runner(&self, id: NodeId) -> Arc<MetadataRunner> {
        self.peers[&id].runner.clone().expect("alive")
    }

    /// The active controller of the newest term.
    pub fn active(&self) -> Option<NodeId> {
        let is_active = |id: &NodeId| self.runner(*id).standing().is_active;
        self.alive().into_iter().filter(is_active).max_by_key(|id| self.seen.term_of(*id))
    }

    pub fn run(&mut self, steps: u32) {
        (0..steps).for_each(|_| self.step());
    }

    pub fn step(&mut self) {
        self.now = self.now + STEP;
        self.inject();
        while let Some(flight) = self.network.first_entry().filter(|flight| flight.key().0 <= self.now) {
            let (from, to, bytes) = flight.remove();
            let message = RaftMessage::decode(&bytes).expect("our own bytes");
            if let Some(runner) = self.peers[&to].runner.clone() {
                runner.handle_message(from, message, Bringer::Stays, self.now);
                self.listen(to);
            }
        }
        for id in self.alive() {
            // A beat may have met a leader's failing disk.
            let Some(runner) = self.peers[&id].runner.clone() else { continue };
            if runner.standing().timeout.is_some_and(|at| at <= self.now) {
                runner.tick(self.now, Duration::ZERO);
                self.listen(id);
            }
            if self.rng.u8(0..8) == 0 && self.peers[&id].runner.is_some() {
                self.beat(id);
            }
        }
    }

    fn inject(&mut self) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        let any = nodes[self.rng.usize(..nodes.len())];
        let dice = self.rng.f64();
        if dice < self.faults.crash {
            match self.rng.u8(0..8) {
                0 => nodes.iter().for_each(|id| self.kill(*id, true)),
                1 => self.kill(any, false),
                2 => self.kill(any, true),
                _ => {
                    let nth = self.rng.u64(1..40);
                    let kind = [FaultKind::Die, FaultKind::Eio][self.rng.usize(..2)];
                    if self.peers[&any].runner.is_some() {
                        self.peers[&any].disk.fail_nth(FaultyCalls::Any, nth, kind, Repeat::Once);
                    }
                }
            }
        } else if dice > 0.95 {
            self.start(any);
        }
        if self.rng.f64() < self.faults.cut {
            let pairs = nodes.iter().flat_map(|from| nodes.iter().map(move |to| (*from, *to)));
            self.cuts = pairs.filter(|_| self.rng.u8(0..3) == 0).collect();
        } else if self.rng.f64() < 0.03 {
            self.cuts.clear();
        }
        if self.rng.f64() < self.faults.work {
            self.create();
        }
    }

    pub fn heal(&mut self) {
        self.faults = Faults { work: 0.0, ..QUIET };
        self.cuts.clear();
        self.peers.values().for_each(|peer| peer.disk.clear_faults());
        let all: Vec<NodeId> = self.peers.keys().copied().collect();
        all.into_iter().for_each(|id| self.start(id));
    }

    /// Asks whoever thinks that he is active for a topic of a new name.
    pub fn create(&mut self) -> String {
        self.serial += 1;
        let name = format!("t{}", self.serial);
        let Some(to) = self.active().or_else(|| self.alive().first().copied()) else { return name };
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.serial.to_be_bytes());
        let request = ControllerRequest::CreateTopic(CreateTopic {
            name: name.as_str().into(),
            id,
            partitions: Some(2),
            replication_factor: None,
            assignments: Vec::new(),
            settings: Vec::new(),
        });
        let (created, asked) = (self.created.clone(), name.clone());
        let waiter = Box::new(move |response: ControllerResponse| {
            if response.result.is_ok() {
                created.lock().insert(asked);
            }
        });
        self.runner(to).ask(request, waiter, self.now);
        self.listen(to);
        name
    }

    /// A node registers and beats at whoever it takes for the leader.
    fn beat(&mut self, id: NodeId) {
        let standing = self.runner(id).standing();
        let Some(leader) = standing.leader.filter(|leader| !self.cuts.contains(&(id, *leader))) else { return };
        let Some(runner) = self.peers[&leader].runner.clone() else { return };
        let peer = &self.peers[&id];
        let request = match peer.node_epoch {
            None => ControllerRequest::RegisterNode(RegisterNode {
                node: id,
                incarnation: peer.lives,
                address: format!("node-{id}"),
                rack: None,
                holds_data: true,
                previous_epoch: None,
            }),
            Some(node_epoch) => ControllerRequest::Heartbeat(Heartbeat {
                node: id,
                node_epoch,
                metadata_offset: standing.image.offset(),
                wants_fenced: false,
                wants_shutdown: false,
            }),
        };
        self.serial += 1;
        runner.handle_request(id, self.serial, request, Bringer::Stays, self.now);
        if self.peers[&leader].mouth.is_called.swap(false, Ordering::SeqCst) {
            runner.tick(self.now, Duration::ZERO);
        }
        self.listen(leader);
    }

    fn listen(&mut self, id: NodeId) {
        let mouth = self.peers[&id].mouth.clone();
        let sent: Vec<(NodeId, Vec<u8>)> = mouth.sent.lock().drain(..).collect();
        for (to, bytes) in sent {
            if self.cuts.contains(&(id, to)) || self.rng.f64() < self.faults.lose {
                continue;
            }
            for _ in 0..1 + usize::from(self.rng.f64() < self.faults.repeat) {
                self.serial += 1;
                let at = self.now + STEP * u32::try_from(self.rng.u64(1..=self.faults.delay_steps)).expect("small");
                self.network.insert((at, self.serial), (id, to, bytes.clone()));
            }
        }
        let replies: Vec<(NodeId, ControllerResponse)> = mouth.replies.lock().drain(..).collect();
        for (to, response) in replies {
            self.note_reply(to, response);
        }
        self.check(id, &mouth);
    }
}
