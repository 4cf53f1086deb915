//! A whole quorum in one thread: virtual time, a network that loses, repeats, reorders and cuts, disks that forget what was not durable.

use crate::controller::*;
use crate::error::ErrorCode;
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
    node_epoch: Option<u64>,
}

struct Flight {
    from: NodeId,
    to: NodeId,
    bytes: Vec<u8>,
}

pub struct Faults {
    pub lose: f64,
    pub repeat: f64,
    pub delay_steps: u64,
    pub crash: f64,
    pub crash_all: f64,
    pub cut: f64,
    pub change_voters: f64,
    /// Requests of the workload per step.
    pub work: f64,
}

impl Faults {
    pub const NONE: Faults = Faults {
        lose: 0.0,
        repeat: 0.0,
        delay_steps: 2,
        crash: 0.0,
        crash_all: 0.0,
        cut: 0.0,
        change_voters: 0.0,
        work: 0.25,
    };
}

pub struct Cluster {
    pub seed: u64,
    pub rng: fastrand::Rng,
    pub now: Instant,
    pub peers: BTreeMap<NodeId, Peer>,
    network: BTreeMap<(Instant, u64), Flight>,
    serial: u64,
    cuts: BTreeSet<(NodeId, NodeId)>,
    pub faults: Faults,
    /// The checksum of the image at each offset that anybody committed.
    images: BTreeMap<u64, u32>,
    active_in_term: BTreeMap<u64, NodeId>,
    terms: BTreeMap<NodeId, u64>,
    /// Topics whose creation was acknowledged, and those whose deletion was asked for.
    created: BTreeSet<String>,
    deleted: BTreeSet<String>,
    asked: BTreeMap<u64, ControllerRequest>,
    pub trace: u32,
    pub events: u64,
    pub members_changed: u64,
    pub snapshots_installed: u64,
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
            terms: BTreeMap::new(),
            created: BTreeSet::new(),
            deleted: BTreeSet::new(),
            asked: BTreeMap::new(),
            trace: 0,
            events: 0,
            members_changed: 0,
            snapshots_installed: 0,
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

    fn inject(&mut self) {
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        let any = nodes[self.rng.usize(..nodes.len())];
        if self.rng.f64() < self.faults.crash {
            self.crash(any);
        } else if self.rng.f64() < 0.1 {
            self.start(any);
        }
        if self.rng.f64() < self.faults.crash_all {
            nodes.iter().for_each(|id| self.crash(*id));
            nodes.iter().for_each(|id| self.start(*id));
        }
        if self.rng.f64() < self.faults.cut {
            self.cuts.clear();
            for from in &nodes {
                for to in &nodes {
                    if self.rng.u8(0..3) == 0 {
                        self.cuts.insert((*from, *to));
                    }
                }
            }
        } else if self.rng.f64() < 0.03 {
            self.cuts.clear();
        }
        if self.rng.f64() < self.faults.change_voters {
            let seat = [NodeSeat::Voter, NodeSeat::Voter, NodeSeat::Learner, NodeSeat::None][self.rng.usize(..4)];
            let voters = self.active().map_or(0, |active| self.controller(active).membership().voters.len());
            if seat == NodeSeat::Voter || voters > 2 {
                self.ask_active(ControllerRequest::ChangeVoters { node: any, seat });
            }
        }
        if self.rng.f64() < self.faults.work {
            self.work();
        }
    }

    fn work(&mut self) {
        let serial = self.serial;
        let known: Vec<String> = self.created.difference(&self.deleted).cloned().collect();
        let some = (!known.is_empty()).then(|| known[self.rng.usize(..known.len())].clone());
        let request = match (self.rng.u8(0..6), some) {
            (0, Some(name)) => {
                self.deleted.insert(name.clone());
                ControllerRequest::DeleteTopic { name: name.into() }
            }
            (1, Some(name)) => {
                let value = Some(serial.to_string());
                let changes = vec![("retention.ms".to_owned(), value)];
                ControllerRequest::AlterTopicConfig { name: name.into(), changes }
            }
            _ => create(&format!("t{serial}"), serial),
        };
        self.ask_active(request);
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
                ControllerOutput::LeaderChanged { term, .. } => {
                    self.terms.insert(id, term);
                }
                ControllerOutput::ImageChanged { offset, .. } => self.check_image(id, offset),
                ControllerOutput::MembershipChanged(_) => self.members_changed += 1,
                ControllerOutput::Event(_) => {}
                ControllerOutput::Stopped(error) => panic!("seed {}: node {id} stopped: {error}", self.seed),
            }
            self.check_active(id);
        }
        self.check_active(id);
    }

    fn note_reply(&mut self, to: NodeId, request_id: u64, response: ControllerResponse) {
        match (response.result, self.asked.get(&request_id)) {
            (Ok(Reply::TopicCreated { .. }), Some(ControllerRequest::CreateTopic(created))) => {
                self.created.insert(created.name.to_string());
            }
            (Ok(Reply::Registered { node_epoch }), _) => {
                self.peers.get_mut(&to).expect("a peer").node_epoch = Some(node_epoch);
            }
            (Err(error), None) if error.code() == ErrorCode::STALE_BROKER_EPOCH => {
                self.peers.get_mut(&to).expect("a peer").node_epoch = None;
            }
            _ => {}
        }
    }

    fn check_image(&mut self, id: NodeId, offset: u64) {
        let image = self.controller(id).image();
        // Several entries may have been applied before we look; then the offset is behind and nothing can be compared.
        if image.offset() != offset {
            return;
        }
        let sum = crc32c::crc32c(&encode_records(&image.to_records()));
        let known = *self.images.entry(offset).or_insert(sum);
        assert_eq!(sum, known, "seed {}: two images at offset {offset}, one at node {id}", self.seed);
    }

    fn check_active(&mut self, id: NodeId) {
        let Some(controller) = self.peers[&id].controller.as_ref() else { return };
        if controller.is_active() {
            let term = self.terms[&id];
            let known = *self.active_in_term.entry(term).or_insert(id);
            assert_eq!(known, id, "seed {}: two active controllers in term {term}", self.seed);
        }
    }

    /// After healing: somebody is active, takes a request, and all members agree with everything that was acknowledged.
    pub fn settle(&mut self) {
        let seed = self.seed;
        self.heal();
        let marker = format!("healed{}", self.serial);
        for round in 0..4_000 {
            self.step();
            let healed = self.created.iter().any(|name| name.starts_with(&marker));
            if round % 40 == 0 && !healed {
                // A name of its own each time: an answer may get lost with its leader, although the topic is there.
                self.ask_active(create(&format!("{marker}-{round}"), 1 << 60 | self.serial));
            }
            if healed && self.agree() {
                let active = self.active().expect("they agree");
                let image = self.controller(active).image();
                for name in self.created.difference(&self.deleted) {
                    assert!(
                        image.topic_named(name).is_some(),
                        "seed {seed}: topic {name} was acknowledged and is lost"
                    );
                }
                self.acknowledged = self.created.len();
                self.terms_seen = self.active_in_term.len();
                return;
            }
        }
        panic!("seed {seed}: no progress after healing; replay with KAFKALOG_SEED={seed}");
    }

    fn agree(&self) -> bool {
        let Some(active) = self.active() else { return false };
        let controller = self.controller(active);
        let membership = controller.membership();
        let members = membership.voters.iter().chain(&membership.learners);
        let offset = controller.image().offset();
        let newest = self.images.keys().next_back().copied().unwrap_or(0);
        offset >= newest && members.clone().all(|id| self.controller(*id).image() == controller.image())
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

pub fn create(name: &str, number: u64) -> ControllerRequest {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id[..8].copy_from_slice(&u64::from(crc32c::crc32c(name.as_bytes())).to_be_bytes());
    ControllerRequest::CreateTopic(CreateTopic {
        name: name.into(),
        id,
        partitions: Some(2),
        replication_factor: None,
        assignments: Vec::new(),
        settings: Vec::new(),
    })
}
