//! A client program and a node in one process, over a channel: both ends of every conversation, on one thread.

use super::fake::{at, part, FakeNode, World, ME};
use crate::client::{Calls, Client, ClientParts, ClientSettings, ClusterView, Done, ReaderSettings, RemoteReader};
use crate::config::IsolationLevel::ReadUncommitted;
use crate::error::{ErrorCode, Result};
use crate::node::cluster::clients::{Answers, ClientPartition, ClientPartitions, Clients};
use crate::sim::SimClock;
use crate::time::Clock;
use crate::transport::{ChannelHub, ClusterId, Inbox, Receive, Transport, CLIENT_ID_MIN};
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, Rung, TopicPartition};
use crate::wire::{
    decode, encode, CorrelationId, CurrentLeader, Message, MetadataNode, MetadataPartition, MetadataResponse,
    MetadataTopic, MetadataTopicDescription, OffsetSpec, Response,
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The node's way out, and what it says of the cluster.
struct Out {
    transport: Arc<dyn Transport>,
    node: Arc<FakeNode>,
}

impl Answers for Out {
    fn answer(&self, to: NodeId, correlation: CorrelationId, response: Response) {
        self.transport.send(to, encode(&Message::Response { correlation, response }).unwrap()).unwrap();
    }
}

impl ClientPartitions for Out {
    fn find(&self, partition: &TopicPartition) -> Result<Arc<dyn ClientPartition>> {
        self.node.find(partition)
    }

    fn current_leader(&self, partition: &TopicPartition) -> Option<CurrentLeader> {
        self.node.current_leader(partition)
    }

    fn metadata(&self, _topics: Option<&[Arc<str>]>) -> MetadataResponse {
        let partitions = self.node.0.keys().map(|partition| MetadataPartition {
            partition: partition.partition,
            leader: Some(ME),
            leader_epoch: LeaderEpoch(1),
            replicas: vec![ME],
            isr: vec![ME],
            elr: vec![],
            offline_replicas: vec![],
        });
        let description = Ok(MetadataTopicDescription { id: [7; 16], partitions: partitions.collect() });
        MetadataResponse {
            cluster: ClusterId::default(),
            controller: Some(ME),
            metadata_offset: 1,
            nodes: vec![MetadataNode { node: ME, address: "inproc://node".into(), rack: None }],
            topics: vec![MetadataTopic { name: "logs".into(), description }],
        }
    }
}

/// A node's router.
struct Router(OnceLock<Arc<Clients>>);

impl Receive for Router {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        let Message::Request { correlation, request } = decode(frame).unwrap() else { panic!() };
        assert!(self.0.get().unwrap().handle_request(from, correlation, request, at(0)).is_none());
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        if !up {
            self.0.get().unwrap().handle_peer_down(peer);
        }
    }
}

struct Program(Arc<Client>);

impl Receive for Program {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        self.0.handle_frame(from, frame);
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        self.0.handle_peer_state(peer, up);
    }
}

/// The outcome of one call, when it is there.
type Slot<T> = Arc<Mutex<Option<Result<T>>>>;

fn outcome<T: Send + 'static>() -> (Slot<T>, Done<T>) {
    let slot = Arc::new(Mutex::new(None));
    let theirs = Arc::clone(&slot);
    (slot, Box::new(move |outcome| assert!(theirs.lock().replace(outcome).is_none(), "answered twice")))
}

#[test]
fn a_program_that_knows_one_address_produces_and_reads() {
    let hub = ChannelHub::new();
    let World { node, .. } = World::new();
    let transport: Arc<dyn Transport> = Arc::new(hub.transport("node").unwrap());
    let out = Arc::new(Out { transport: Arc::clone(&transport), node: Arc::clone(&node) });
    let clients = Arc::new(Clients::new(out.clone(), out, Arc::new(|_| {})));
    let router = Arc::new(Router(OnceLock::new()));
    router.0.set(Arc::clone(&clients)).unwrap();
    transport.start(ME, Inbox::new(router)).unwrap();

    let (own, clock) = (Arc::new(hub.transport("program").unwrap()), Arc::new(SimClock::default()));
    let client = Client::new(ClientParts {
        transport: Arc::clone(&own) as Arc<dyn Transport>,
        calls: Arc::new(Calls::new()),
        view: ClusterView::new(),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        wake_by: Arc::new(|_| {}),
        settings: ClientSettings {
            client_id: "program".into(),
            bootstrap: vec!["inproc://node".into()],
            request_timeout: Duration::from_secs(5),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(60),
        },
    });
    own.start(CLIENT_ID_MIN, Inbox::new(Arc::new(Program(Arc::clone(&client))))).unwrap();
    client.start().unwrap();
    assert_eq!(client.view().leader(&part(0)).unwrap().leader.node, ME, "found by the time that start returns");
    assert_eq!(own.peer_stats().len(), 1, "under its own number alone");

    let deadline = clock.monotonic() + Duration::from_secs(3);
    let settings = ReaderSettings { wait_max: Duration::from_millis(500), bytes_min: 1, bytes_max: 1_000 };
    let reader = RemoteReader::new(Arc::clone(&client), part(0), settings, Arc::new(|| {}));
    let read = |from| reader.read(Offset(from), ReadUncommitted).unwrap().map(|found| found.batches);
    assert_eq!(read(0).unwrap(), [10, 20, 30][..], "there as soon as it is asked for");
    assert_eq!(read(3), None);

    let (produced, done) = outcome();
    client.produce(&part(0), vec![Bytes::from_static(&[40])], Acks::All, deadline, done);
    assert!(produced.lock().is_none());
    node.0[&part(0)].0.lock().high_watermark = 4;
    clients.handle_partition_changed(&part(0));
    let placed = produced.lock().take().unwrap().unwrap();
    assert_eq!((placed.base_offset, placed.rung), (Some(Offset(3)), Rung::Replicated));
    assert_eq!(read(3).unwrap(), [40][..]);

    let (listed, done) = outcome();
    client.list_offsets(&part(0), OffsetSpec::Latest, ReadUncommitted, deadline, done);
    assert_eq!(listed.lock().take().unwrap().unwrap().unwrap().offset, Offset(4));
    let (deleted, done) = outcome();
    client.delete_records(&part(0), Some(Offset(2)), deadline, done);
    node.0[&part(0)].0.lock().followers_log_start = Some(2);
    clients.handle_partition_changed(&part(0));
    assert_eq!(deleted.lock().take().unwrap().unwrap(), Offset(2));
    assert_eq!(reader.read(Offset(0), ReadUncommitted).unwrap_err().code(), ErrorCode::OFFSET_OUT_OF_RANGE);

    let (lost, done) = outcome();
    client.produce(&part(0), vec![Bytes::from_static(&[50])], Acks::All, deadline, done);
    transport.stop();
    assert_eq!(lost.lock().take().unwrap().unwrap_err().code(), ErrorCode::NETWORK_EXCEPTION);
    assert_eq!(own.peer_stats().len(), 2, "back to the address that it knows");
}
