//! Many lives of a client in a cluster whose network loses, repeats and reorders: whatever is asked is answered once, and a reader
//! misses nothing.

use super::fake::{leads, logs, metadata, Sent, World, ONE, TWO};
use super::reading::{batch, fetched};
use crate::client::{Done, ReaderSettings, RemoteReader};
use crate::config::IsolationLevel::ReadUncommitted;
use crate::controller::{ControllerRequest, ControllerResponse, Reply};
use crate::error::{Error, ErrorCode, Result};
use crate::record::batches;
use crate::transport::BOOTSTRAP_ID_MIN;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, Rung};
use crate::wire::{
    CurrentLeader, DeleteRecordsPartitionResponse, DeleteRecordsResponse, DescribeReplicasPartitionResponse,
    DescribeReplicasResponse, LedReplicas, ListOffsetsPartitionResponse, ListOffsetsResponse, OffsetSpec,
    ProducePartitionResponse, ProduceResponse, Produced, Request, Response,
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// What the nodes agree on. Any of them may be behind with the metadata.
struct Cluster {
    /// Leader and epoch at each metadata offset.
    reigns: Vec<(Option<NodeId>, u32)>,
    controller: NodeId,
    log_end: u64,
}

impl Cluster {
    fn leader(&self) -> Option<CurrentLeader> {
        let (leader, epoch) = *self.reigns.last().unwrap();
        leader.map(|node| leads(node, epoch))
    }

    fn answer(&self, sent: &Sent, random: &mut fastrand::Rng, is_healed: bool) -> Response {
        let leader = self.leader();
        let refusal = (leader.map(|leader| leader.node) != Some(sent.to))
            .then(|| Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "not here"));
        let current_leader = leader.filter(|_| refusal.is_some() && random.bool());
        let verdict = |refusal: Option<Error>| refusal.map_or(Ok(()), Err);
        match &sent.request {
            Request::Metadata(_) => {
                let behind = if is_healed { 0 } else { random.usize(..2).min(self.reigns.len() - 1) };
                let at = self.reigns.len() - 1 - behind;
                let mut metadata = metadata(at as u64, self.reigns[at].0, self.reigns[at].1);
                metadata.controller = Some(self.controller).filter(|_| is_healed || random.bool());
                Response::Metadata(metadata)
            }
            Request::Produce(_) => {
                let produced = Produced { base_offset: Offset(0), log_append_time: None, rung: Rung::Written };
                let result = verdict(refusal).map(|()| produced);
                let partitions = vec![ProducePartitionResponse { partition: logs(), result, current_leader }];
                Response::Produce(ProduceResponse { partitions })
            }
            Request::ConsumerFetch(request) => {
                let from = request.partitions[0].fetch_offset.0;
                assert!(from <= self.log_end, "nobody asked for that");
                let upto = (from + random.u64(0..3)).min(self.log_end);
                let records = (from..upto).flat_map(|offset| batch(offset, 1, None)).collect();
                fetched(verdict(refusal).map(|()| records), self.log_end, vec![], current_leader)
            }
            Request::ListOffsets(_) => {
                let not_yet = !is_healed && random.bool();
                let not_yet = not_yet.then(|| Error::new(ErrorCode::OFFSET_NOT_AVAILABLE, "not yet"));
                let found = verdict(refusal.or(not_yet)).map(|()| None);
                let partitions = vec![ListOffsetsPartitionResponse { partition: logs(), found, current_leader }];
                Response::ListOffsets(ListOffsetsResponse { partitions })
            }
            Request::DeleteRecords(_) => {
                let low_watermark = verdict(refusal).map(|()| Offset(0));
                let answer = DeleteRecordsPartitionResponse { partition: logs(), low_watermark, current_leader };
                Response::DeleteRecords(DeleteRecordsResponse { partitions: vec![answer] })
            }
            Request::DescribeReplicas(_) => {
                let (leader_epoch, high_watermark) = (LeaderEpoch(0), Offset(0));
                let replicas = verdict(refusal).map(|()| LedReplicas { leader_epoch, high_watermark, states: vec![] });
                let answer = DescribeReplicasPartitionResponse { partition: logs(), replicas, current_leader };
                Response::DescribeReplicas(DescribeReplicasResponse { partitions: vec![answer] })
            }
            Request::Controller(_) => {
                let elsewhere = Err(Error::new(ErrorCode::NOT_CONTROLLER, "not here"));
                let result = if sent.to == self.controller { Ok(Reply::Done) } else { elsewhere };
                let leader = Some(self.controller).filter(|_| random.bool());
                Response::Controller(ControllerResponse {
                    result,
                    leader,
                    metadata_offset: self.reigns.len() as u64 - 1,
                })
            }
            Request::ReplicaFetch(_) => panic!("a client is no follower"),
        }
    }
}

/// How often each thing that was asked was answered.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<u32>>>);

impl Asked {
    fn done<T: 'static>(&self) -> Done<T> {
        let (counts, number) = (Arc::clone(&self.0), self.0.lock().len());
        counts.lock().push(0);
        Box::new(move |_: Result<T>| counts.lock()[number] += 1)
    }
}

struct Life {
    world: World,
    cluster: Cluster,
    random: fastrand::Rng,
    requests: Vec<Sent>,
    responses: Vec<(Sent, Response)>,
    asked: Asked,
    reader: Arc<RemoteReader>,
    position: u64,
}

impl Life {
    fn new(seed: u64) -> Life {
        let world = World::new(&["tcp://a:1", "tcp://b:1"]);
        let settings = ReaderSettings { wait_max: Duration::from_millis(500), bytes_min: 1, bytes_max: 1_000 };
        let reader = RemoteReader::new(Arc::clone(&world.client), logs(), settings, Arc::new(|| {}));
        Life {
            world,
            cluster: Cluster { reigns: vec![(Some(ONE), 0)], controller: ONE, log_end: 0 },
            random: fastrand::Rng::with_seed(seed),
            requests: Vec::new(),
            responses: Vec::new(),
            asked: Asked::default(),
            reader,
            position: 0,
        }
    }

    fn ask(&mut self) {
        let (client, deadline) = (&self.world.client, self.world.in_ms(self.random.u64(1..10_000)));
        match self.random.u8(..4) {
            0 => {
                let acks = if self.random.bool() { Acks::All } else { Acks::None };
                client.produce(&logs(), vec![Bytes::from_static(b"b")], acks, deadline, self.asked.done());
            }
            1 => client.list_offsets(&logs(), OffsetSpec::Latest, ReadUncommitted, deadline, self.asked.done()),
            2 => client.delete_records(&logs(), None, deadline, self.asked.done()),
            _ => {
                client.ask_controller(ControllerRequest::DeleteTopic { name: "x".into() }, deadline, self.asked.done())
            }
        }
    }

    fn read(&mut self) {
        let Some(found) = self.reader.read(Offset(self.position), ReadUncommitted).unwrap() else { return };
        for batch in batches(&found.batches) {
            let header = *batch.unwrap().1.header();
            assert_eq!(header.base_offset, Offset(self.position), "nothing twice, nothing left out");
            self.position = header.end_offset().0;
        }
    }

    fn step(&mut self) {
        self.requests.extend(self.world.network.take_all());
        match self.random.u8(..12) {
            0 => self.ask(),
            1 | 2 => self.read(),
            3 => self.world.pass(self.random.u64(..400)),
            4 => {
                let peers: Vec<NodeId> = self.world.network.peers.lock().keys().copied().collect();
                let peer = peers[self.random.usize(..peers.len())];
                self.world.client.handle_peer_state(peer, self.random.u8(..3) > 0);
            }
            5 => self.cluster.log_end += 1,
            6 if self.random.u8(..4) == 0 => {
                let epoch = self.cluster.reigns.last().unwrap().1 + 1;
                let leader = [Some(ONE), Some(TWO), None][self.random.usize(..3)];
                self.cluster.reigns.push((leader, epoch));
                self.cluster.controller = [ONE, TWO][self.random.usize(..2)];
            }
            7..=9 if !self.requests.is_empty() => {
                // Taken, or left to be taken again; its answer lost, or not.
                let at = self.random.usize(..self.requests.len());
                let again = self.requests[at].clone();
                let sent = if self.random.u8(..5) > 0 { self.requests.swap_remove(at) } else { again };
                if self.random.u8(..6) > 0 && sent.correlation.is_some() {
                    let response = self.cluster.answer(&sent, &mut self.random, false);
                    self.responses.push((sent, response));
                }
            }
            _ if !self.responses.is_empty() => {
                let at = self.random.usize(..self.responses.len());
                let (sent, response) = self.responses[at].clone();
                if self.random.u8(..5) > 0 {
                    self.responses.swap_remove(at);
                }
                self.world.answer(&sent, response);
            }
            _ => {}
        }
    }

    /// From now on nothing is lost: everything comes to its end.
    fn heal(&mut self) {
        self.cluster.reigns.push((Some(TWO), 1_000));
        self.cluster.log_end += 5;
        for _ in 0..400 {
            let peers: Vec<NodeId> = self.world.network.peers.lock().keys().copied().collect();
            for peer in peers {
                assert!(peer == ONE || peer == TWO || peer >= BOOTSTRAP_ID_MIN);
                self.world.client.handle_peer_state(peer, true);
            }
            for sent in self.world.network.take_all().into_iter().filter(|sent| sent.correlation.is_some()) {
                let response = self.cluster.answer(&sent, &mut self.random, true);
                self.world.answer(&sent, response);
            }
            self.read();
            self.world.pass(50);
        }
    }
}

#[test]
fn whatever_the_network_does_everything_is_answered_once_and_a_reader_misses_nothing() {
    for seed in 0..150 {
        let mut life = Life::new(seed);
        for _ in 0..400 {
            life.step();
        }
        life.heal();
        let counts = life.asked.0.lock().clone();
        assert!(counts.iter().all(|count| *count == 1), "seed {seed}: {counts:?}");
        assert_eq!(life.position, life.cluster.log_end, "seed {seed}: the reader stands still");
        let leader = life.world.client.view().leader(&logs()).unwrap().leader;
        assert_eq!(Some(leader), life.cluster.leader(), "seed {seed}");
    }
}
