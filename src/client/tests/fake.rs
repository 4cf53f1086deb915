//! A transport of one's own making, which remembers what was sent and refuses when told to; and a client on it.

use crate::client::{Calls, Client, ClientParts, ClientSettings, ClusterView};
use crate::controller::TopicId;
use crate::error::{Error, Result};
use crate::sim::SimClock;
use crate::time::{Clock, Instant};
use crate::transport::{ClusterId, Frame, Inbox, PeerStats, Transport};
use crate::types::{LeaderEpoch, NodeId, TopicPartition};
use crate::wire::{
    decode, encode, CorrelationId, CurrentLeader, Message, MetadataNode, MetadataPartition, MetadataResponse,
    MetadataTopic, MetadataTopicDescription, Request, Response,
};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A request on its way.
#[derive(Clone, Debug)]
pub struct Sent {
    pub to: NodeId,
    pub correlation: Option<CorrelationId>,
    pub request: Request,
}

#[derive(Default)]
pub struct FakeTransport {
    sent: Mutex<VecDeque<Sent>>,
    refusal: Mutex<Option<Error>>,
    pub peers: Mutex<BTreeMap<NodeId, String>>,
}

impl FakeTransport {
    pub fn new() -> Arc<FakeTransport> {
        Arc::default()
    }

    /// From now on nothing is taken, for this reason; or everything again.
    pub fn refuse(&self, why: Option<Error>) {
        *self.refusal.lock() = why;
    }

    /// The oldest request that nobody has looked at.
    pub fn take_sent(&self) -> Option<Sent> {
        self.sent.lock().pop_front()
    }

    pub fn take_all(&self) -> Vec<Sent> {
        self.sent.lock().drain(..).collect()
    }
}

impl Transport for FakeTransport {
    fn start(&self, _me: NodeId, _inbox: Inbox) -> Result<()> {
        Ok(())
    }

    fn send(&self, to: NodeId, frame: Frame) -> Result<()> {
        if let Some(error) = self.refusal.lock().clone() {
            return Err(error);
        }
        let Message::Request { correlation, request } = decode(frame.into_joined())? else {
            panic!("a client sends requests");
        };
        self.sent.lock().push_back(Sent { to, correlation, request });
        Ok(())
    }

    fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        let mut peers = self.peers.lock();
        match address {
            Some(address) => peers.insert(peer, address.to_owned()),
            None => peers.remove(&peer),
        };
        Ok(())
    }

    fn stop(&self) {}

    fn peer_stats(&self) -> Vec<PeerStats> {
        Vec::new()
    }
}

pub const ONE: NodeId = NodeId(1);
pub const TWO: NodeId = NodeId(2);
pub const ID: TopicId = [7; 16];

/// The partition that is spoken of.
pub fn logs() -> TopicPartition {
    TopicPartition::new("logs", 0)
}

pub fn leads(node: NodeId, epoch: u32) -> CurrentLeader {
    CurrentLeader { node, leader_epoch: LeaderEpoch(epoch) }
}

/// Two nodes, the first of which is the controller, and a topic with one partition.
pub fn metadata(metadata_offset: u64, leader: Option<NodeId>, epoch: u32) -> MetadataResponse {
    let node = |node: NodeId| MetadataNode { node, address: format!("tcp://node{node}:1"), rack: None };
    let partition = MetadataPartition {
        partition: 0,
        leader,
        leader_epoch: LeaderEpoch(epoch),
        replicas: vec![ONE, TWO],
        isr: vec![ONE, TWO],
        elr: vec![],
        offline_replicas: vec![],
    };
    let description = Ok(MetadataTopicDescription { id: ID, partitions: vec![partition] });
    MetadataResponse {
        cluster: ClusterId::default(),
        controller: Some(ONE),
        metadata_offset,
        nodes: vec![node(ONE), node(TWO)],
        topics: vec![MetadataTopic { name: "logs".into(), description }],
    }
}

/// A client, the network it believes in, and its clock.
pub struct World {
    pub client: Arc<Client>,
    pub network: Arc<FakeTransport>,
    pub clock: Arc<SimClock>,
}

impl World {
    /// Fed with the view by the test, unless there are bootstrap addresses.
    pub fn new(bootstrap: &[&str]) -> World {
        let (network, clock) = (FakeTransport::new(), Arc::new(SimClock::default()));
        clock.advance(Duration::from_secs(1));
        let client = Client::new(ClientParts {
            transport: Arc::clone(&network) as Arc<dyn Transport>,
            calls: Arc::new(Calls::new()),
            view: ClusterView::new(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            wake_by: Arc::new(|_| {}),
            settings: ClientSettings {
                client_id: "test".into(),
                bootstrap: bootstrap.iter().map(|&address| address.to_owned()).collect(),
                request_timeout: Duration::from_secs(5),
                retry_backoff: Duration::from_millis(100),
                retry_backoff_max: Duration::from_secs(1),
                metadata_max_age: Duration::from_secs(60),
            },
        });
        client.start().unwrap();
        World { client, network, clock }
    }

    /// That knows the cluster: node one leads in epoch 1.
    pub fn knowing() -> World {
        let world = World::new(&[]);
        assert!(world.client.view().replace(metadata(10, Some(ONE), 1)));
        world
    }

    pub fn now(&self) -> Instant {
        self.clock.monotonic()
    }

    pub fn in_ms(&self, ms: u64) -> Instant {
        self.now() + Duration::from_millis(ms)
    }

    pub fn pass(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
        self.client.tick(self.now());
    }

    /// The only request that was sent since the last look.
    pub fn only_sent(&self) -> Sent {
        let mut sent = self.network.take_all();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.pop().unwrap()
    }

    pub fn answer(&self, to: &Sent, response: Response) {
        let message = Message::Response { correlation: to.correlation.expect("it wants an answer"), response };
        self.client.handle_frame(to.to, encode(&message).unwrap().into_joined());
    }
}

/// Outcomes of calls, in the order in which they came.
pub struct Outcomes<T>(Arc<Mutex<Vec<Result<T>>>>);

impl<T: Send + 'static> Outcomes<T> {
    pub fn new() -> Outcomes<T> {
        Outcomes(Arc::default())
    }

    pub fn done(&self) -> crate::client::Done<T> {
        let list = Arc::clone(&self.0);
        Box::new(move |outcome| list.lock().push(outcome))
    }

    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// The only one since the last look.
    pub fn only(&self) -> Result<T> {
        let mut list = self.0.lock();
        assert_eq!(list.len(), 1);
        list.pop().unwrap()
    }
}
