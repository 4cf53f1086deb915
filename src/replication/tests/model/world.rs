//! Replicas, a controller that knows everything, and a network that loses, repeats and reorders, all from one seed.

use super::elector::{Elector, Metadata};
use super::node::{Node, Role};
use crate::replication::tests::list_log::Entry;
use crate::replication::{FetchRequest, FetchResponse, IsrProposal, IsrVerdict, NodeEpoch, PartitionEpoch};
use crate::time::Instant;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset};
use std::collections::BTreeMap;
use std::time::Duration;

/// More messages than these are never under way; some are lost then.
const MESSAGES_MAX: usize = 60;

#[derive(Clone, Debug)]
pub enum Message {
    Fetch { from: NodeId, to: NodeId, node_epoch: NodeEpoch, request: FetchRequest },
    Response { from: NodeId, to: NodeId, response: FetchResponse },
    Propose { from: NodeId, proposal: IsrProposal },
    Verdict { to: NodeId, verdict: IsrVerdict },
    Metadata { to: NodeId, metadata: Metadata },
}

pub struct Settings {
    pub min_isr: u32,
    pub lag_max: Duration,
    pub records_max: u32,
    pub vouches_flushed: bool,
    pub retains: bool,
}

/// A change of the ISR that a leader has proposed, and whether the controller has refused it meanwhile.
struct Proposed {
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    nodes: Vec<NodeId>,
    is_refused: bool,
}

pub struct World {
    rng: fastrand::Rng,
    pub now: Instant,
    pub settings: Settings,
    pub nodes: Vec<Node>,
    pub elector: Elector,
    network: Vec<Message>,
    is_healed: bool,
    /// Whatever was below the high watermark of a leader, by offset. Nobody may ever contradict it.
    committed: Vec<Entry>,
    acked: usize,
    /// Who wrote what in which epoch: two leaders never write the same place in the same epoch.
    written: BTreeMap<(u64, u32), u64>,
    proposed: BTreeMap<NodeId, Proposed>,
    watermarks: Vec<Option<(LeaderEpoch, Offset)>>,
    value_next: u64,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let count = rng.u32(3..=5);
        let settings = Settings {
            min_isr: rng.u32(1..=3),
            lag_max: Duration::from_millis(rng.u64(200..2000)),
            records_max: rng.u32(1..6),
            vouches_flushed: rng.bool(),
            retains: rng.bool(),
        };
        let ids: Vec<NodeId> = (1..=count).map(NodeId).collect();
        let nodes: Vec<Node> = ids.iter().map(|id| Node::new(*id, settings.vouches_flushed)).collect();
        let mut world = World {
            elector: Elector::new(&ids, settings.min_isr as usize),
            rng,
            now: Instant(1_000_000),
            watermarks: vec![None; nodes.len()],
            nodes,
            settings,
            network: Vec::new(),
            is_healed: false,
            committed: Vec::new(),
            acked: 0,
            written: BTreeMap::new(),
            proposed: BTreeMap::new(),
            value_next: 0,
        };
        world.publish();
        world
    }

    /// One event, whichever the seed chooses.
    pub fn step(&mut self) -> Result<(), String> {
        let at = self.rng.usize(..self.nodes.len());
        let id = self.nodes[at].id;
        let (now, is_running) = (self.now, self.nodes[at].is_up && !self.nodes[at].is_paused);
        match self.rng.u32(0..1000) {
            0..=399 => self.deliver_any()?,
            400..=599 if is_running => self.nodes[at].tick(now),
            600..=719 if is_running => self.append(at),
            720..=819 if is_running => self.nodes[at].flush(now),
            820..=899 => self.now = self.now + Duration::from_millis(self.rng.u64(1..150)),
            900..=907 if self.nodes[at].is_up => self.crash(at),
            908..=937 if !self.nodes[at].is_up => self.restart(at),
            938..=942 if is_running => self.nodes[at].is_paused = true,
            943..=957 => self.nodes[at].is_paused = false,
            958..=963 if !self.elector.is_fenced(id) => self.elector.fence(id),
            964..=978 if self.nodes[at].is_up && self.elector.is_fenced(id) => self.elector.unfence(id),
            979..=981 => self.elector.elect_preferring(id),
            982..=987 if is_running && self.settings.retains => {
                let start = self.rng.u64(0..=self.nodes[at].high_watermark.0);
                self.nodes[at].retain(start, now);
            }
            988..=992 => self.nodes[at].high_watermark_checkpoint = self.nodes[at].high_watermark,
            993..=999 => self.publish(),
            _ => {}
        }
        self.after(at)
    }

    /// No more faults, and everybody may make progress.
    pub fn heal(&mut self) -> Result<(), String> {
        self.is_healed = true;
        for at in 0..self.nodes.len() {
            self.nodes[at].is_paused = false;
            if !self.nodes[at].is_up {
                self.restart(at);
            }
            self.elector.unfence(self.nodes[at].id);
        }
        let value = self.value_next;
        for round in 0..400 {
            self.publish();
            for at in 0..self.nodes.len() {
                self.nodes[at].flush(self.now);
                self.nodes[at].tick(self.now);
                self.after(at)?;
            }
            while !self.network.is_empty() {
                self.deliver_any()?;
            }
            self.now = self.now + Duration::from_millis(50);
            let leader = self.elector.metadata.leader.ok_or("nobody leads after healing")?;
            if round == 200 {
                self.nodes[leader.0 as usize - 1].append(Acks::All, value, self.now);
                self.after(leader.0 as usize - 1)?;
            }
        }
        self.check_healed(value)
    }

    fn check_healed(&self, value: u64) -> Result<(), String> {
        let ends: Vec<_> = self.nodes.iter().map(|node| (node.log.end(), node.high_watermark.0)).collect();
        if ends.iter().any(|end| *end != (ends[0].0, ends[0].0)) {
            return Err(format!("ends and high watermarks differ after healing: {ends:?}"));
        }
        if self.elector.isr().len() != self.nodes.len() {
            return Err(format!("the ISR is {:?} after healing", self.elector.isr()));
        }
        match self.committed.last() {
            Some(last) if last.value == value => Ok(()),
            last => Err(format!("the last append was not committed, but {last:?}")),
        }
    }

    fn append(&mut self, at: usize) {
        let acks = if self.rng.u8(0..5) == 0 { Acks::Leader } else { Acks::All };
        for _ in 0..self.rng.u32(1..4) {
            self.value_next += 1;
            self.nodes[at].append(acks, self.value_next, self.now);
        }
    }

    fn crash(&mut self, at: usize) {
        let log = &self.nodes[at].log;
        // A kill leaves the page cache; a power cut leaves what is flushed, and perhaps more.
        let end = if log.vouches_flushed { self.rng.u64(log.facts().vouched.0..=log.end()) } else { log.end() };
        self.nodes[at].crash(end);
        self.watermarks[at] = None;
    }

    fn restart(&mut self, at: usize) {
        let fenced = self.rng.bool();
        let node = &mut self.nodes[at];
        node.node_epoch = self.elector.register(node.id, fenced);
        // It acts on nothing that is older than its registration.
        node.version = self.elector.metadata.version - 1;
        node.is_up = true;
    }

    fn publish(&mut self) {
        for at in 0..self.nodes.len() {
            self.send(Message::Metadata { to: self.nodes[at].id, metadata: self.elector.metadata.clone() });
        }
    }

    fn send(&mut self, message: Message) {
        if self.is_healed {
            return self.network.push(message);
        }
        let copies = [1, 1, 1, 1, 1, 1, 1, 1, 0, 2][self.rng.usize(..10)];
        for _ in 0..copies {
            if self.network.len() >= MESSAGES_MAX {
                self.network.swap_remove(self.rng.usize(..MESSAGES_MAX));
            }
            self.network.push(message.clone());
        }
    }

    fn deliver_any(&mut self) -> Result<(), String> {
        if self.network.is_empty() {
            return Ok(());
        }
        // Some come late, most in order.
        let first = if self.rng.u8(0..3) == 0 { self.rng.usize(..self.network.len()) } else { 0 };
        let message = self.network.remove(first);
        let to = match &message {
            Message::Propose { .. } => None,
            Message::Fetch { to, .. }
            | Message::Response { to, .. }
            | Message::Verdict { to, .. }
            | Message::Metadata { to, .. } => Some(to.0 as usize - 1),
        };
        let Some(to) = to else { return self.deliver_proposal(message) };
        let (node, now) = (&mut self.nodes[to], self.now);
        if node.is_paused {
            self.network.push(message);
            return Ok(());
        }
        if !node.is_up {
            return Ok(());
        }
        match message {
            Message::Fetch { from, node_epoch, request, .. } => node.handle_fetch(from, node_epoch, &request, now),
            Message::Response { from, response, .. } => node.handle_response(from, response, now)?,
            Message::Metadata { metadata, .. } => {
                let was = node.leader_epoch;
                node.handle_metadata(&metadata, &self.settings, now);
                if node.leader_epoch != was && node.leader().is_some() {
                    self.check_has_all_committed(to)?;
                }
            }
            Message::Verdict { verdict, .. } => {
                if let Some(proposed) = self.proposed.get_mut(&node.id) {
                    proposed.is_refused |= verdict.outcome.is_err();
                }
                if let Role::Leader(leader) = &mut node.role {
                    leader.handle_isr_verdict(verdict, now);
                }
                node.settle();
            }
            Message::Propose { .. } => {}
        }
        self.after(to)
    }

    fn deliver_proposal(&mut self, message: Message) -> Result<(), String> {
        let Message::Propose { from, proposal } = message else { return Ok(()) };
        let verdict = self.elector.handle_proposal(from, &proposal);
        self.send(Message::Verdict { to: from, verdict });
        self.publish();
        self.check_isr()
    }

    /// What must be true after whatever happened to a node.
    fn after(&mut self, at: usize) -> Result<(), String> {
        for message in std::mem::take(&mut self.nodes[at].outbox) {
            if let Message::Propose { from, proposal } = &message {
                self.check_proposal(*from, proposal)?;
            }
            self.send(message);
        }
        self.check_log(at)?;
        self.check_watermark(at)?;
        self.check_acked(at)?;
        self.check_isr()
    }

    fn check_log(&mut self, at: usize) -> Result<(), String> {
        let node = &self.nodes[at];
        for (offset, entry) in (node.log.start..).zip(&node.log.entries) {
            let value = *self.written.entry((offset, entry.epoch)).or_insert(entry.value);
            if value != entry.value {
                return Err(format!("two records at {offset} in epoch {}", entry.epoch));
            }
        }
        Ok(())
    }

    fn check_watermark(&mut self, at: usize) -> Result<(), String> {
        let node = &self.nodes[at];
        let (id, end) = (node.id, node.high_watermark);
        if end.0 > node.log.end() || end.0 < node.log.start {
            return Err(format!("{id}: high watermark {end} outside of {}..{}", node.log.start, node.log.end()));
        }
        let reign = node.leader().map(|leader| (leader.leader_epoch(), end));
        if let (Some((was_in, was)), Some((is_in, is))) = (self.watermarks[at], reign) {
            if was_in == is_in && is < was {
                return Err(format!("{id}: high watermark back from {was} to {is}"));
            }
        }
        self.watermarks[at] = reign;
        let known = self.committed.len() as u64;
        for offset in node.log.start..end.0.min(known) {
            let (mine, committed) = (node.log.get(offset), self.committed[offset as usize]);
            if mine != Some(committed) {
                return Err(format!("{id}: {mine:?} at {offset}, committed was {committed:?}"));
            }
        }
        if end.0 > known {
            if reign.is_none() {
                return Err(format!("{id}: follower's high watermark {end}, only {known} are committed"));
            }
            self.committed.extend((known..end.0).map(|offset| node.log.get(offset).unwrap()));
            return self.check_newest_leader();
        }
        Ok(())
    }

    fn check_newest_leader(&self) -> Result<(), String> {
        let newest = self.nodes.iter().filter_map(|node| Some((node.leader()?.leader_epoch(), node.id))).max();
        newest.map_or(Ok(()), |(_, id)| self.check_has_all_committed(id.0 as usize - 1))
    }

    /// A leader has everything that was ever committed, unless a newer one has been elected.
    fn check_has_all_committed(&self, at: usize) -> Result<(), String> {
        let node = &self.nodes[at];
        if node.leader_epoch != Some(self.elector.metadata.leader_epoch) {
            return Ok(());
        }
        for offset in node.log.start..self.committed.len() as u64 {
            let (mine, committed) = (node.log.get(offset), self.committed[offset as usize]);
            if mine != Some(committed) {
                return Err(format!("leader {} has {mine:?} at {offset}, committed was {committed:?}", node.id));
            }
        }
        Ok(())
    }

    fn check_acked(&mut self, at: usize) -> Result<(), String> {
        for acked in self.nodes[at].acked.drain(..) {
            self.acked += 1;
            if self.committed.get(acked.offset as usize) != Some(&acked.entry) {
                return Err(format!("{:?} was acknowledged at {} and is not committed", acked.entry, acked.offset));
            }
        }
        Ok(())
    }

    /// The controller's ISR is never larger than what the leader of its reign waits for.
    fn check_isr(&self) -> Result<(), String> {
        for node in &self.nodes {
            let Some(leader) = node.leader() else { continue };
            if leader.leader_epoch() == self.elector.metadata.leader_epoch {
                let maximal = leader.maximal_in_sync_replicas();
                if let Some(member) = self.elector.isr().iter().find(|member| !maximal.contains(member)) {
                    return Err(format!("{member} is in the ISR, and leader {} waits for {maximal:?} only", node.id));
                }
            }
        }
        Ok(())
    }

    /// At most one change is in flight: upon one state of the partition the same one, unless it was refused.
    fn check_proposal(&mut self, from: NodeId, proposal: &IsrProposal) -> Result<(), String> {
        let nodes: Vec<NodeId> = proposal.in_sync_replicas.iter().map(|member| member.node).collect();
        let IsrProposal { leader_epoch, partition_epoch, .. } = *proposal;
        if let Some(before) = self.proposed.get(&from) {
            let is_same_state = (before.leader_epoch, before.partition_epoch) == (leader_epoch, partition_epoch);
            if is_same_state && before.nodes != nodes && !before.is_refused {
                return Err(format!("{from} proposes {nodes:?} while {:?} is in flight", before.nodes));
            }
            if (leader_epoch, partition_epoch) < (before.leader_epoch, before.partition_epoch) {
                return Err(format!("{from} proposes upon an older state"));
            }
        }
        self.proposed.insert(from, Proposed { leader_epoch, partition_epoch, nodes, is_refused: false });
        Ok(())
    }

    pub fn acked(&self) -> usize {
        self.acked
    }

    pub fn describe(&self) -> String {
        let mut text = format!("now {:?} {:?} elr {:?}\n", self.now, self.elector.metadata, self.elector.eligible);
        for node in &self.nodes {
            let role = match &node.role {
                Role::None => "-".to_owned(),
                Role::Leader(leader) => format!("{leader:?}"),
                Role::Follower(follower) => format!("{follower:?}"),
            };
            let log: Vec<String> = node.log.entries.iter().map(|e| format!("{}:{}", e.epoch, e.value)).collect();
            let (id, hw, start) = (node.id, node.high_watermark, node.log.start);
            text += &format!(
                "{id} up {} hw {hw} {start}.. {} {:?}\n   {role}\n",
                node.is_up,
                log.join(" "),
                node.log.epochs
            );
        }
        text
    }
}
