//! Many lives of a node between clients, in whatever order things happen: every request is answered exactly once, and no answer
//! says more than is true.

use super::answers::{delete, fetch, produce};
use super::fake::{at, part, World, CLIENT, ME, OTHER};
use crate::config::IsolationLevel::ReadUncommitted;
use crate::types::{Acks, NodeId, Rung};
use crate::wire::{MetadataRequest, Request, Response};
use std::collections::BTreeMap;

struct Life {
    world: World,
    random: fastrand::Rng,
    now_ms: u64,
    asked: u64,
    /// How often each request was answered; `None` when nobody is there to hear it.
    answered: BTreeMap<u64, Option<u32>>,
    askers: BTreeMap<u64, NodeId>,
}

impl Life {
    fn new(seed: u64) -> Life {
        let random = fastrand::Rng::with_seed(seed);
        Life { world: World::new(), random, now_ms: 0, asked: 0, answered: BTreeMap::new(), askers: BTreeMap::new() }
    }

    fn ask(&mut self) {
        let number = self.random.u32(..2);
        let from = self.world.log(number).end() + self.random.u64(..3);
        let request = match self.random.u8(..5) {
            0 | 1 => {
                let acks = [Acks::Leader, Acks::All, Acks::All][self.random.usize(..3)];
                produce(acks, [&[0][..], &[1], &[0, 1], &[0, 7]][self.random.usize(..4)], self.random.u32(..300))
            }
            2 => {
                fetch(&[(number, from.saturating_sub(2)), (1 - number, 0)], self.random.u32(..4), 100, ReadUncommitted)
            }
            3 => delete(number, self.random.bool().then_some(self.world.log(number).high_watermark)),
            _ => Request::Metadata(MetadataRequest { topics: None }),
        };
        self.asked += 1;
        let client = NodeId(CLIENT.0 + self.random.u32(..3));
        self.answered.insert(self.asked, Some(0));
        self.askers.insert(self.asked, client);
        self.world.ask_as(client, self.asked, request, self.now_ms);
    }

    fn change(&mut self) {
        let (number, kind) = (self.random.u32(..2), self.random.u8(..8));
        let many = self.random.u64(1..4);
        let change = move |log: &mut super::fake::Log| match kind {
            0..=2 => log.high_watermark = (log.high_watermark + many).min(log.end()),
            3 => log.followers_log_start = Some(log.log_start),
            4 => log.has_few_replicas = !log.has_few_replicas,
            5 => {
                let is_mine = many == 1;
                (log.leader, log.epoch) = (Some(if is_mine { ME } else { OTHER }), log.epoch + 1);
            }
            6 => log.must_flush = !log.must_flush,
            _ => (log.leader, log.epoch) = (Some(ME), 1),
        };
        self.world.change(number, change);
    }

    fn hear(&mut self, seed: u64) {
        for (client, number, response) in self.world.heard.take() {
            assert_eq!(self.askers[&number], client);
            let count = self.answered.get_mut(&number).expect("it was asked");
            *count = Some(count.expect("a client that is gone hears nothing") + 1);
            assert_eq!(*count, Some(1), "seed {seed}: request {number} was answered twice");
            if let Response::Produce(answer) = response {
                for answer in answer.partitions {
                    let Ok(produced) = answer.result else { continue };
                    let log = self.world.log(answer.partition.partition);
                    let is_true = produced.rung < Rung::Replicated || produced.base_offset.0 < log.high_watermark;
                    assert!(is_true && produced.base_offset.0 < log.end(), "seed {seed}: {produced:?} in {log:?}");
                }
            }
        }
    }

    fn step(&mut self, seed: u64) {
        match self.random.u8(..10) {
            0..=3 => self.ask(),
            4..=6 => self.change(),
            7 => self.world.clients.handle_partition_changed(&part(self.random.u32(..3))),
            8 => {
                self.now_ms += self.random.u64(..80);
                let next = self.world.clients.tick(at(self.now_ms));
                assert!(next.is_none_or(|next| next > at(self.now_ms)));
            }
            _ if self.random.u8(..8) == 0 => {
                self.hear(seed);
                let gone = NodeId(CLIENT.0 + self.random.u32(..3));
                self.world.clients.handle_peer_down(gone);
                for (number, count) in &mut self.answered {
                    if self.askers[number] == gone && *count == Some(0) {
                        *count = None;
                    }
                }
            }
            _ => {}
        }
        self.hear(seed);
    }
}

#[test]
fn every_request_is_answered_exactly_once_whatever_the_order_of_events() {
    for seed in 0..300 {
        let mut life = Life::new(seed);
        for _ in 0..300 {
            life.step(seed);
        }
        assert_eq!(life.world.clients.tick(at(life.now_ms + 1_000)), None);
        life.hear(seed);
        let counts: Vec<_> = life.answered.values().flatten().collect();
        assert!(counts.iter().all(|count| **count == 1), "seed {seed}: {:?}", life.answered);
        assert_eq!(life.world.clients.waiting_count(), 0);
    }
}
