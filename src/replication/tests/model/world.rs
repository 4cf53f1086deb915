//! Replicas, a controller that knows everything, and a network that loses, repeats and reorders, all from one seed.

use super::checker::Checker;
use super::elector::{Elector, Metadata};
use super::node::{Node, Role};
use crate::replication::{FetchRequest, FetchResponse, IsrProposal, IsrVerdict, NodeEpoch};
use crate::time::Instant;
use crate::types::{Acks, NodeId};
use std::time::Duration;

/// More messages than these are never under way; some are lost then.
const MESSAGES_MAX: usize = 60;
const STRAGGLERS_MAX: usize = 10;

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

/// How often each kind of trouble strikes in this life, in percent of its occasions.
struct Troubles {
    crash: u8,
    pause: u8,
    fence: u8,
    election: u8,
    loss: u8,
    repetition: u8,
    straggling: u8,
    cut: u8,
}

impl Troubles {
    fn any(rng: &mut fastrand::Rng) -> Troubles {
        let mut percent = || [0, 3, 10, 30, 100][rng.usize(..5)];
        Troubles {
            crash: percent(),
            pause: percent(),
            fence: percent(),
            election: percent(),
            loss: percent() / 4,
            repetition: percent() / 4,
            straggling: percent() / 2,
            cut: percent(),
        }
    }
}

pub struct World {
    pub rng: fastrand::Rng,
    pub now: Instant,
    pub settings: Settings,
    troubles: Troubles,
    pub nodes: Vec<Node>,
    pub elector: Elector,
    pub network: Vec<Message>,
    /// Messages that come much later, perhaps in another reign.
    stragglers: Vec<Message>,
    /// Who does not reach whom; nobody is the controller.
    cuts: Vec<(Option<NodeId>, Option<NodeId>)>,
    is_healed: bool,
    checker: Checker,
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
        let troubles = Troubles::any(&mut rng);
        let mut world = World {
            troubles,
            elector: Elector::new(&ids, settings.min_isr as usize),
            rng,
            now: Instant(1_000_000),
            nodes,
            settings,
            network: Vec::new(),
            stragglers: Vec::new(),
            cuts: Vec::new(),
            is_healed: false,
            checker: Checker::new(ids.len()),
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
            0..=449 => self.deliver_any()?,
            450..=599 if is_running => self.nodes[at].tick(now),
            600..=699 if is_running => self.append(at),
            700..=799 if is_running => self.nodes[at].flush(now),
            800..=859 => self.now = self.now + Duration::from_millis(self.rng.u64(1..150)),
            860..=874 if self.nodes[at].is_up && self.strikes(self.troubles.crash) => self.crash(at),
            875..=904 if !self.nodes[at].is_up => self.restart(at),
            905..=914 if is_running && self.strikes(self.troubles.pause) => self.nodes[at].is_paused = true,
            915..=929 if self.nodes[at].is_paused => {
                self.nodes[at].is_paused = false;
                if self.strikes(self.troubles.election) {
                    self.elector.elect_preferring(id);
                }
            }
            930..=939 if !self.elector.is_fenced(id) && self.strikes(self.troubles.fence) => self.elector.fence(id),
            940..=954 if self.nodes[at].is_up && self.elector.is_fenced(id) => self.elector.unfence(id),
            955..=974 if self.strikes(self.troubles.election) => {
                // The leader stands still, and will come back to find another reign, perhaps its own.
                if let Some(leader) = self.elector.metadata.leader.filter(|_| self.strikes(self.troubles.pause)) {
                    let leader = &mut self.nodes[leader.0 as usize - 1];
                    leader.is_paused = leader.is_up;
                }
                self.elector.elect_preferring(id);
            }
            975..=982 if is_running && self.settings.retains => {
                let start = self.rng.u64(0..=self.nodes[at].high_watermark.0);
                self.nodes[at].retain(start, now);
            }
            983..=987 => self.nodes[at].high_watermark_checkpoint = self.nodes[at].high_watermark,
            988..=993 => self.publish(),
            994..=995 if self.strikes(self.troubles.cut) => self.cut(),
            996..=997 if self.strikes(self.troubles.election) => self.depose_for_a_while()?,
            998..=999 if !self.cuts.is_empty() => drop(self.cuts.swap_remove(self.rng.usize(..self.cuts.len()))),
            _ => {}
        }
        self.after(at)
    }

    /// No more faults, and everybody may make progress.
    pub fn heal(&mut self) -> Result<(), String> {
        self.is_healed = true;
        self.cuts.clear();
        for at in 0..self.nodes.len() {
            self.nodes[at].is_paused = false;
            if !self.nodes[at].is_up {
                self.restart(at);
            }
            self.elector.unfence(self.nodes[at].id);
        }
        // Everybody who could have led lost what he had vouched for: only an unclean election would help.
        if self.elector.isr().is_empty() && self.elector.eligible.is_empty() {
            return Ok(());
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
        match self.checker.committed.last() {
            Some(last) if last.value == value => Ok(()),
            last => Err(format!("the last append was not committed, but {last:?}")),
        }
    }

    pub fn append(&mut self, at: usize) {
        let acks = if self.rng.u8(0..5) == 0 { Acks::Leader } else { Acks::All };
        for _ in 0..self.rng.u32(1..4) {
            self.value_next += 1;
            self.nodes[at].append(acks, self.value_next, self.now);
        }
    }

    fn crash(&mut self, at: usize) {
        let id = self.nodes[at].id;
        // Somebody has to keep what the ISR vouched for. What is only in the page cache survives a kill, not a power cut.
        let mut candidates = self.elector.isr().iter().chain(&self.elector.eligible);
        let others_keep = candidates.any(|node| *node != id && !self.nodes[node.0 as usize - 1].has_lost_vouched);
        let is_power_cut = self.settings.vouches_flushed || (others_keep && self.rng.bool());
        let node = &mut self.nodes[at];
        let (end, vouched) = (node.log.end(), node.log.facts().vouched);
        let end = if is_power_cut { self.rng.u64(node.log.flushed..=end) } else { end };
        node.has_lost_vouched |= end < vouched.0;
        node.crash(end);
        self.checker.handle_crash(at);
    }

    fn restart(&mut self, at: usize) {
        let fenced = self.rng.bool();
        let node = &mut self.nodes[at];
        let is_unclean = std::mem::take(&mut node.has_lost_vouched);
        node.node_epoch = self.elector.register(node.id, fenced, is_unclean);
        // It acts on nothing that is older than its registration.
        node.version = self.elector.metadata.version - 1;
        node.is_up = true;
    }

    fn publish(&mut self) {
        for at in 0..self.nodes.len() {
            self.send(Message::Metadata { to: self.nodes[at].id, metadata: self.elector.metadata.clone() });
        }
    }

    pub fn send(&mut self, message: Message) {
        if self.is_healed {
            return self.network.push(message);
        }
        // Answers and metadata that come late only meet a number that has moved on; questions are where it gets interesting.
        let is_question = matches!(message, Message::Fetch { .. } | Message::Propose { .. });
        let percent = if is_question { self.troubles.straggling } else { self.troubles.straggling / 10 };
        if self.strikes(percent) {
            if self.stragglers.len() >= STRAGGLERS_MAX {
                self.stragglers.swap_remove(self.rng.usize(..STRAGGLERS_MAX));
            }
            self.stragglers.push(message.clone());
        }
        let copies = 1 + u8::from(self.strikes(self.troubles.repetition)) - u8::from(self.strikes(self.troubles.loss));
        for _ in 0..copies {
            if self.network.len() >= MESSAGES_MAX {
                self.network.swap_remove(self.rng.usize(..MESSAGES_MAX));
            }
            self.network.push(message.clone());
        }
    }

    /// One way or both.
    fn cut(&mut self) {
        let mut any = || self.rng.usize(..=self.nodes.len()).checked_sub(1).map(|at| self.nodes[at].id);
        let (from, to) = (any(), any());
        self.cuts.push((from, to));
        if self.rng.bool() {
            self.cuts.push((to, from));
        }
    }

    fn strikes(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    fn deliver_any(&mut self) -> Result<(), String> {
        if !self.stragglers.is_empty() && self.rng.u8(0..15) == 0 {
            self.network.insert(0, self.stragglers.swap_remove(self.rng.usize(..self.stragglers.len())));
        }
        if self.network.is_empty() {
            return Ok(());
        }
        // Some come late, most in order.
        let first = if self.rng.u8(0..3) == 0 { self.rng.usize(..self.network.len()) } else { 0 };
        let message = self.network.remove(first);
        self.deliver(message)
    }

    pub fn deliver(&mut self, message: Message) -> Result<(), String> {
        let (from, to) = match &message {
            Message::Propose { from, .. } => (Some(*from), None),
            Message::Fetch { from, to, .. } | Message::Response { from, to, .. } => (Some(*from), Some(*to)),
            Message::Verdict { to, .. } | Message::Metadata { to, .. } => (None, Some(*to)),
        };
        if self.cuts.contains(&(from, to)) {
            return Ok(());
        }
        let to = to.map(|to| to.0 as usize - 1);
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
                node.handle_metadata(&metadata, &self.settings, now);
            }
            Message::Verdict { verdict, .. } => {
                self.checker.handle_verdict(node.id, &verdict);
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
        self.after(from.0 as usize - 1)
    }

    /// What a node sends is on its way, and what must be true is looked at.
    pub fn after(&mut self, at: usize) -> Result<(), String> {
        for message in std::mem::take(&mut self.nodes[at].outbox) {
            if let Message::Propose { from, proposal } = &message {
                self.checker.check_proposal(*from, proposal)?;
            }
            self.send(message);
        }
        self.checker.check(at, &mut self.nodes, &self.elector)
    }

    /// What happened, so that somebody can see that enough did.
    pub fn tally(&self) -> [usize; 5] {
        let sum = |of: fn(&Node) -> usize| self.nodes.iter().map(of).sum();
        let (cuts, restarts) = (sum(|node| node.truncations), sum(|node| node.restarts_at));
        [self.checker.acked, cuts, restarts, self.elector.withdrawals, self.elector.eligible_elected]
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
