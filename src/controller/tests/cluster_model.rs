//! A whole quorum in one thread: virtual time, a network that loses, repeats, reorders and cuts, disks that forget what was not durable.

use super::cluster_faults::Faults;
use crate::controller::*;
use crate::time::Instant;
use crate::types::NodeId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

const STEP: Duration = Duration::from_millis(5);

/// What a node has on its disk, and what is on its way there.
#[derive(Default)]
pub struct Disk {
    pub durable: Restored,
    writing: VecDeque<(Instant, Persist)>,
}

pub struct Peer {
    pub controller: Option<Controller>,
    pub disk: Disk,
    lives: u64,
    /// The node epoch, once registered in this life.
    pub node_epoch: Option<u64>,
}

struct Flight {
    from: NodeId,
    to: NodeId,
    bytes: Vec<u8>,
}

pub struct Cluster {
    pub seed: u64,
    pub rng: fastrand::Rng,
    pub now: Instant,
    pub peers: BTreeMap<NodeId, Peer>,
    network: BTreeMap<(Instant, u64), Flight>,
    pub serial: u64,
    pub cuts: BTreeSet<(NodeId, NodeId)>,
    pub faults: Faults,
    /// The checksum of the image at each offset that anybody committed.
    pub images: BTreeMap<u64, u32>,
    pub active_in_term: BTreeMap<u64, NodeId>,
    pub leader_of_term: BTreeMap<u64, NodeId>,
    pub terms: BTreeMap<NodeId, u64>,
    /// Topics whose creation was acknowledged, and those whose deletion was asked for.
    pub created: BTreeSet<String>,
    pub deleted: BTreeSet<String>,
    pub asked: BTreeMap<u64, ControllerRequest>,
    pub trace: u32,
    pub events: u64,
    pub members_changed: u64,
    pub snapshots_installed: u64,
    pub changes_seen: u64,
    pub acknowledged: usize,
    pub terms_seen: usize,
}

impl Cluster {
    pub fn new(seed: u64, voters: u32, joiners: u32, faults: Faults) -> Cluster {
        let rng = fastrand::Rng::with_seed(seed);
        let ids: Vec<NodeId> = (0..voters).map(NodeId).collect();
        let start = Quorum::bootstrap(&ids);
        let mut peers = BTreeMap::new();
        for id in (0..voters + joiners).map(NodeId) {
            let durable = if ids.contains(&id) { start.clone() } else { Restored::default() };
            let disk = Disk { durable, writing: VecDeque::new() };
            peers.insert(id, Peer { controller: None, disk, lives: 0, node_epoch: None });
        }
        let mut cluster = Cluster {
            seed,
            rng,
            now: Instant(0),
            peers,
            network: BTreeMap::new(),
            serial: 0,
            cuts: BTreeSet::new(),
            faults,
            images: BTreeMap::new(),
            active_in_term: BTreeMap::new(),
            leader_of_term: BTreeMap::new(),
            terms: BTreeMap::new(),
            created: BTreeSet::new(),
            deleted: BTreeSet::new(),
            asked: BTreeMap::new(),
            trace: 0,
            events: 0,
            members_changed: 0,
            snapshots_installed: 0,
            changes_seen: 0,
            acknowledged: 0,
            terms_seen: 0,
        };
        let all: Vec<NodeId> = cluster.peers.keys().copied().collect();
        all.into_iter().for_each(|id| cluster.start(id));
        cluster
    }

    pub fn start(&mut self, id: NodeId) {
        let peer = self.peers.get_mut(&id).expect("a peer");
        if peer.controller.is_some() {
            return;
        }
        peer.lives += 1;
        peer.node_epoch = None;
        let config = ControllerConfig {
            session_timeout: Duration::from_millis(400),
            leader_imbalance_check_interval: Some(Duration::from_millis(300)),
            unclean_leader_election_interval: Duration::from_millis(500),
            ..ControllerConfig::default()
        };
        let quorum = QuorumConfig { tick: Duration::from_millis(10), snapshot_entries: 25, ..QuorumConfig::default() };
        let seed = self.seed ^ (u64::from(id.0) << 40) ^ (peer.lives << 20);
        let controller = Controller::open(id, config, quorum, &peer.disk.durable, seed, self.now);
        peer.controller =
            Some(controller.unwrap_or_else(|e| panic!("seed {}: node {id} does not open: {e}", self.seed)));
        self.collect(id);
    }

    /// What was not durable is gone; of what was being written, a part may be there.
    pub fn crash(&mut self, id: NodeId) {
        let peer = self.peers.get_mut(&id).expect("a peer");
        if peer.controller.take().is_none() {
            return;
        }
        let survive = self.rng.usize(0..=peer.disk.writing.len());
        let mut writing = std::mem::take(&mut peer.disk.writing);
        for (_, persist) in writing.drain(..survive) {
            apply(&mut peer.disk.durable, persist);
        }
        if let Some((_, Persist { snapshot: Some(snapshot), resets_log: true, .. })) = writing.pop_front() {
            if self.rng.bool() {
                peer.disk.durable.snapshot = Some(snapshot);
            }
        }
    }

    pub fn alive(&self) -> Vec<NodeId> {
        self.peers.iter().filter(|(_, peer)| peer.controller.is_some()).map(|(id, _)| *id).collect()
    }

    pub fn active(&self) -> Option<NodeId> {
        let active = |id: &NodeId| self.peers[id].controller.as_ref().is_some_and(Controller::is_active);
        self.alive().into_iter().filter(active).max_by_key(|id| self.terms.get(id).copied())
    }

    pub fn controller(&self, id: NodeId) -> &Controller {
        self.peers[&id].controller.as_ref().expect("alive")
    }

    pub fn heal(&mut self) {
        self.faults = Faults { work: 0.0, ..Faults::NONE };
        self.cuts.clear();
        let all: Vec<NodeId> = self.peers.keys().copied().collect();
        all.into_iter().for_each(|id| self.start(id));
    }

    pub fn step(&mut self) {
        self.now = self.now + STEP;
        self.inject();
        self.write_disks();
        self.deliver();
        for id in self.alive() {
            let now = self.now;
            let controller = self.peers.get_mut(&id).and_then(|peer| peer.controller.as_mut()).expect("alive");
            if controller.poll_timeout().is_some_and(|at| at <= now) {
                controller.handle_timeout(now);
                self.collect(id);
            }
            if self.rng.u8(0..8) == 0 {
                self.beat(id);
            }
        }
    }

    /// Asks whoever thinks that he is active.
    pub fn ask_active(&mut self, request: ControllerRequest) -> u64 {
        self.serial += 1;
        let id = self.serial;
        let to = self.active().or_else(|| self.alive().first().copied());
        if let Some(to) = to {
            self.asked.insert(id, request.clone());
            self.ask(to, to, id, &request);
        }
        id
    }

    fn ask(&mut self, to: NodeId, from: NodeId, id: u64, request: &ControllerRequest) {
        let now = self.now;
        if let Some(controller) = self.peers.get_mut(&to).and_then(|peer| peer.controller.as_mut()) {
            controller.handle_request(from, id, request, now);
            self.collect(to);
        }
    }

    /// A node registers and beats at whoever it takes for the leader.
    fn beat(&mut self, id: NodeId) {
        let peer = &self.peers[&id];
        let controller = peer.controller.as_ref().expect("alive");
        let Some(leader) = controller.leader() else { return };
        if self.cuts.contains(&(id, leader)) {
            return;
        }
        self.serial += 1;
        let serial = self.serial;
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
                metadata_offset: controller.image().offset(),
                wants_fenced: false,
                wants_shutdown: false,
            }),
        };
        self.ask(leader, id, serial, &request);
    }

    fn write_disks(&mut self) {
        let now = self.now;
        for id in self.alive() {
            let mut durable = None;
            let disk = &mut self.peers.get_mut(&id).expect("a peer").disk;
            while disk.writing.front().is_some_and(|(at, _)| *at <= now) {
                let (_, persist) = disk.writing.pop_front().expect("just seen");
                if persist.must_sync {
                    durable = Some(persist.number);
                }
                apply(&mut disk.durable, persist);
            }
            if let Some(number) = durable {
                self.peers
                    .get_mut(&id)
                    .and_then(|p| p.controller.as_mut())
                    .expect("alive")
                    .handle_persisted(number, now);
                self.collect(id);
            }
        }
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.network.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let Flight { from, to, bytes } = entry.remove();
            let now = self.now;
            let message = RaftMessage::decode(&bytes).expect("our own bytes");
            if let Some(controller) = self.peers.get_mut(&to).and_then(|peer| peer.controller.as_mut()) {
                controller.handle_message(from, &message, now);
                self.collect(to);
            }
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: &RaftMessage) {
        if self.cuts.contains(&(from, to)) || self.rng.f64() < self.faults.lose {
            return;
        }
        let copies = 1 + usize::from(self.rng.f64() < self.faults.repeat);
        for _ in 0..copies {
            self.serial += 1;
            let at = self.now + STEP * u32::try_from(self.rng.u64(1..=self.faults.delay_steps)).expect("small");
            self.network.insert((at, self.serial), Flight { from, to, bytes: message.encode() });
        }
    }

    fn collect(&mut self, id: NodeId) {
        while let Some(output) =
            self.peers.get_mut(&id).and_then(|p| p.controller.as_mut()).and_then(Controller::poll_output)
        {
            self.events += 1;
            let line = format!("{:?} {id} {output:?}", self.now);
            self.trace = crc32c::crc32c_append(self.trace, line.as_bytes());
            if std::env::var_os("KAFKALOG_TRACE").is_some() {
                println!("{line}");
            }
            match output {
                ControllerOutput::Persist(persist) => {
                    self.snapshots_installed += u64::from(persist.resets_log);
                    let disk = &mut self.peers.get_mut(&id).expect("a peer").disk;
                    let at = self.now + STEP * self.rng.u32(0..6);
                    let at = disk.writing.back().map_or(at, |(before, _)| at.max(*before));
                    disk.writing.push_back((at, persist));
                }
                ControllerOutput::Send { to, message } => self.send(id, to, &message),
                ControllerOutput::Reply { to, request_id, response } => self.note_reply(to, request_id, response),
                ControllerOutput::LeaderChanged { leader, term } => {
                    self.terms.insert(id, term);
                    if let Some(leader) = leader {
                        let known = *self.leader_of_term.entry(term).or_insert(leader);
                        assert_eq!(known, leader, "seed {}: two leaders of term {term}", self.seed);
                    }
                }
                ControllerOutput::ImageChanged { offset, changes } => {
                    self.changes_seen += changes.len() as u64;
                    self.check_image(id, offset);
                }
                ControllerOutput::MembershipChanged(membership) => {
                    assert!(!membership.voters.is_empty(), "seed {}: nobody votes", self.seed);
                    self.members_changed += 1;
                }
                ControllerOutput::Event(event) => {
                    let lossy = matches!(event, ControllerEvent::UncleanLeaderElected { .. });
                    assert!(!lossy, "seed {}: {event:?}, which no topic allows", self.seed);
                }
                ControllerOutput::Stopped(error) => panic!("seed {}: node {id} stopped: {error}", self.seed),
            }
            self.check_active(id);
        }
        self.check_active(id);
    }
}

fn apply(durable: &mut Restored, persist: Persist) {
    if let Some(snapshot) = persist.snapshot {
        if persist.resets_log {
            durable.entries.clear();
        }
        durable.entries.retain(|entry| entry.index > snapshot.index);
        durable.snapshot = Some(snapshot);
    }
    if let Some(first) = persist.entries.first().map(|entry| entry.index) {
        durable.entries.retain(|entry| entry.index < first);
        durable.entries.extend(persist.entries);
    }
    if let Some(state) = persist.hard_state {
        durable.hard_state = state;
    }
}
