//! Followers and one leader in one thread: lists for logs, a heap of messages for a network.

use super::super::*;
use super::replicas::{Followed, Led};
use crate::error::{Error, ErrorCode, Result};
use crate::node::Alarm;
use crate::replication::NodeEpoch;
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId, Offset};
use crate::wire::{CorrelationId, ReplicaFetchRequest, ReplicaFetchResponse, TopicIdPartition};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

pub const LEADER: NodeId = NodeId(1);
pub const EPOCH: LeaderEpoch = LeaderEpoch(3);
pub const MILLI: Duration = Duration::from_millis(1);
pub const WAIT_MAX: Duration = Duration::from_millis(500);
/// Of a fetch, by its follower.
pub const EXPIRY: Duration = Duration::from_secs(4);

pub fn id(partition: u32) -> TopicIdPartition {
    TopicIdPartition { topic: [7; 16], partition }
}

pub fn correlation(number: u64) -> CorrelationId {
    CorrelationId(NonZeroU64::new(number).unwrap())
}

/// What is on its way.
#[derive(Clone)]
pub enum Message {
    Request { from: NodeId, ticket: FetchTicket, request: ReplicaFetchRequest },
    Response { to: NodeId, correlation: CorrelationId, answer: Result<ReplicaFetchResponse> },
}

#[derive(Default)]
pub struct Network {
    pub messages: Mutex<Vec<Message>>,
    /// Requests that nobody has answered yet: whose, which, until when.
    pub calls: Mutex<BTreeMap<(NodeId, u64), (FetchTicket, Instant)>>,
    pub requests: Mutex<u64>,
    pub responses: Mutex<u64>,
    pub listed: Mutex<u64>,
}

impl Network {
    pub fn take_messages(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock())
    }
}

impl FetchReplier for Network {
    fn reply(&self, to: NodeId, correlation: CorrelationId, answer: Result<ReplicaFetchResponse>) {
        *self.responses.lock() += 1;
        self.messages.lock().push(Message::Response { to, correlation, answer });
    }
}

/// A follower's end of the network.
pub struct Line {
    pub me: NodeId,
    pub network: Arc<Network>,
}

impl FetchSender for Line {
    fn send(&self, to: NodeId, ticket: FetchTicket, request: ReplicaFetchRequest, deadline: Instant) {
        assert_eq!(to, LEADER);
        *self.network.requests.lock() += 1;
        *self.network.listed.lock() += request.partitions.len() as u64;
        let before = self.network.calls.lock().insert((self.me, ticket.number), (ticket, deadline));
        assert!(before.is_none(), "a number is given once");
        self.network.messages.lock().push(Message::Request { from: self.me, ticket, request });
    }
}

#[derive(Default)]
pub struct Bell(pub Mutex<Vec<Instant>>);

impl Alarm for Bell {
    fn wake_by(&self, when: Instant) {
        self.0.lock().push(when);
    }
}

pub fn settings() -> FetchSettings {
    FetchSettings {
        fetchers: 1,
        response_bytes_max: 4_096,
        wait_max: WAIT_MAX,
        backoff: MILLI * 100,
        request_timeout: MILLI * 1_000,
        catch_up_bytes_per_second: None,
    }
}

pub struct Node {
    pub id: NodeId,
    pub fetchers: Fetchers,
    pub replicas: BTreeMap<u32, Arc<Followed>>,
}

pub struct World {
    pub now: Instant,
    pub network: Arc<Network>,
    pub sessions: Arc<FetchSessions>,
    pub led: Vec<Arc<Led>>,
    pub nodes: Vec<Node>,
    pub bell: Arc<Bell>,
    pub rng: fastrand::Rng,
    /// Of a thousand messages.
    pub lost: u32,
    pub repeated: u32,
    pub overtaken: u32,
}

impl World {
    pub fn new(seed: u64, partitions: u32, followers: u32, settings: &FetchSettings) -> World {
        let network = Arc::new(Network::default());
        let bell = Arc::new(Bell::default());
        let sessions = Arc::new(FetchSessions::new(network.clone(), bell.clone(), seed));
        let ids: Vec<NodeId> = (0..followers).map(|n| NodeId(n + 2)).collect();
        let led: Vec<_> = (0..partitions).map(|partition| Led::new(partition, &ids)).collect();
        for partition in &led {
            partition.tell(&sessions);
        }
        let node = |id: NodeId| {
            let line = Arc::new(Line { me: id, network: network.clone() });
            let fetchers = Fetchers::new(settings.clone(), line, bell.clone());
            fetchers.handle_node_epoch(NodeEpoch(5), Instant(1));
            Node { id, fetchers, replicas: BTreeMap::new() }
        };
        let nodes = ids.into_iter().map(node).collect();
        let rng = fastrand::Rng::with_seed(seed);
        let now = Instant(1_000_000_000);
        World { now, network, sessions, led, nodes, bell, rng, lost: 0, repeated: 0, overtaken: 0 }
    }

    pub fn add(&mut self, node: usize, partition: u32) {
        // A follower numbers its fetches from the time on: two of them at one moment would use the same numbers.
        self.now = self.now + Duration::from_nanos(1_000);
        let node = &mut self.nodes[node];
        let end = node.replicas.get(&partition).map_or(0, |replica| replica.state().end);
        let replica = Followed::new(partition, end, 1_024);
        node.replicas.insert(partition, replica.clone());
        node.fetchers.add(replica, LEADER, self.now);
    }

    pub fn add_all(&mut self) {
        for node in 0..self.nodes.len() {
            for partition in 0..self.led.len() {
                self.add(node, u32::try_from(partition).unwrap());
            }
        }
    }

    pub fn append(&self, partition: usize, padding: u32) {
        self.led[partition].append(padding, self.now);
    }

    /// Carries one message, or loses or repeats it. Says whether there was one.
    pub fn carry(&mut self) -> bool {
        let message = {
            let mut messages = self.network.messages.lock();
            if messages.is_empty() {
                return false;
            }
            let place = if self.rng.u32(..1_000) < self.overtaken { self.rng.usize(..messages.len()) } else { 0 };
            if self.rng.u32(..1_000) < self.lost {
                messages.remove(place);
                return true;
            }
            if self.rng.u32(..1_000) < self.repeated {
                messages[place].clone()
            } else {
                messages.remove(place)
            }
        };
        self.deliver(message);
        true
    }

    pub fn deliver(&self, message: Message) {
        match message {
            Message::Request { from, ticket, request } => {
                let lookup = |id: TopicIdPartition| {
                    self.led.get(id.partition as usize).map(|led| led.clone() as Arc<dyn Replica>)
                };
                self.sessions.handle_fetch(from, correlation(ticket.number), request, lookup, self.now);
            }
            Message::Response { to, correlation, answer } => {
                let call = self.network.calls.lock().remove(&(to, correlation.0.get()));
                if let Some((ticket, _)) = call {
                    self.node(to).fetchers.handle_response(LEADER, ticket, answer, self.now);
                }
            }
        }
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes.iter().find(|node| node.id == id).unwrap()
    }

    pub fn settle(&mut self) {
        while self.carry() {}
    }

    /// Time passes: calls end, and everybody does what is due.
    pub fn tick(&mut self, passed: Duration) {
        self.now = self.now + passed;
        let late: Vec<_> = {
            let mut calls = self.network.calls.lock();
            let late: Vec<_> =
                calls.iter().filter(|(_, call)| call.1 <= self.now).map(|(key, call)| (*key, call.0)).collect();
            late.iter().for_each(|(key, _)| {
                calls.remove(key);
            });
            late
        };
        for ((node, _), ticket) in late {
            self.fail(node, ticket, ErrorCode::REQUEST_TIMED_OUT);
        }
        self.sessions.tick(self.now);
        for node in &self.nodes {
            node.fetchers.tick(self.now);
        }
    }

    fn fail(&self, node: NodeId, ticket: FetchTicket, code: ErrorCode) {
        let error = Error::new(code, "lost on the way");
        self.node(node).fetchers.handle_response(LEADER, ticket, Err(error), self.now);
    }

    /// The connection with a follower breaks, and begins anew.
    pub fn reconnect(&mut self, node: usize) {
        let id = self.nodes[node].id;
        self.network.messages.lock().retain(|message| match message {
            Message::Request { from, .. } => *from != id,
            Message::Response { to, .. } => *to != id,
        });
        let lost: Vec<FetchTicket> = {
            let mut calls = self.network.calls.lock();
            let lost = calls.iter().filter(|((node, _), _)| *node == id).map(|(_, call)| call.0).collect();
            calls.retain(|(node, _), _| *node != id);
            lost
        };
        self.sessions.handle_peer(id, false);
        self.nodes[node].fetchers.handle_peer(LEADER, false, self.now);
        for ticket in lost {
            self.fail(id, ticket, ErrorCode::NETWORK_EXCEPTION);
        }
        self.sessions.handle_peer(id, true);
        self.nodes[node].fetchers.handle_peer(LEADER, true, self.now);
    }

    /// Runs until everybody has everything, by whole milliseconds.
    pub fn run_until_equal(&mut self, seed: u64) {
        for _ in 0..20_000 {
            self.settle();
            if self.is_equal() {
                return;
            }
            self.tick(MILLI);
        }
        for (partition, led) in self.led.iter().enumerate() {
            let end = led.state().records.len();
            for node in &self.nodes {
                let followed = node.replicas.get(&u32::try_from(partition).unwrap());
                let has = followed.map(|replica| replica.state().end);
                eprintln!("partition {partition}: leader {end}, node {} {has:?}", node.id);
            }
        }
        panic!("seed {seed}: the followers do not get everything");
    }

    fn is_equal(&self) -> bool {
        self.led.iter().enumerate().all(|(partition, led)| {
            let end = led.state().records.len() as u64;
            self.nodes.iter().all(|node| match node.replicas.get(&u32::try_from(partition).unwrap()) {
                Some(replica) => {
                    let state = replica.state();
                    state.end == end && state.follower.high_watermark() == Offset(end)
                }
                None => true,
            })
        })
    }
}
