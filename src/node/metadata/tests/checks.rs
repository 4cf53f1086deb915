//! What must be true in every cluster: always, and after healing.

use super::world::{Mouth, World};
use crate::controller::{encode_records, ControllerResponse, Reply};
use crate::error::ErrorCode;
use crate::types::NodeId;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Seen {
    /// The checksum of the image at each offset that anybody showed.
    images: BTreeMap<u64, u32>,
    active_in_term: BTreeMap<u64, NodeId>,
    leader_of_term: BTreeMap<u64, NodeId>,
    terms: BTreeMap<NodeId, u64>,
    /// Runners whose disk failed under them.
    pub stopped: u64,
}

impl Seen {
    pub fn term_of(&self, id: NodeId) -> Option<u64> {
        self.terms.get(&id).copied()
    }

    pub fn terms(&self) -> usize {
        self.active_in_term.len()
    }
}

impl World {
    pub(super) fn note_reply(&mut self, to: NodeId, response: ControllerResponse) {
        let epoch = &mut self.peers.get_mut(&to).expect("a peer").node_epoch;
        match response.result {
            Ok(Reply::Registered { node_epoch }) => *epoch = Some(node_epoch),
            Err(error) if error.code() == ErrorCode::STALE_BROKER_EPOCH => *epoch = None,
            _ => {}
        }
    }

    pub(super) fn check(&mut self, id: NodeId, mouth: &Mouth) {
        let seed = self.seed;
        for (leader, term) in mouth.leaders.lock().drain(..) {
            let before = self.seen.terms.insert(id, term);
            assert!(before.is_none_or(|before| before <= term), "seed {seed}: node {id} went back from {before:?}");
            if let Some(leader) = leader {
                let known = *self.seen.leader_of_term.entry(term).or_insert(leader);
                assert_eq!(known, leader, "seed {seed}: two leaders of term {term}");
            }
        }
        for image in mouth.images.lock().drain(..) {
            let sum = crate::record::crc32c(&encode_records(&image.to_records()));
            let known = *self.seen.images.entry(image.offset()).or_insert(sum);
            assert_eq!(known, sum, "seed {seed}: two images at offset {}, one at node {id}", image.offset());
        }
        let notices: Vec<_> = mouth.notices.lock().drain(..).collect();
        if let Some(notice) = notices.first() {
            // Whoever has lost his disk is taken for dead, and so is his disk's cache.
            assert_eq!(notices.len(), 1, "seed {seed}: {notices:?}");
            let by_disk = self.peers[&id].disk.faults_fired() > 0;
            assert!(by_disk, "seed {seed}: node {id} stopped by itself: {}", notice.text);
            self.seen.stopped += 1;
            return self.kill(id, true);
        }
        let Some(runner) = self.peers[&id].runner.as_ref() else { return };
        if runner.standing().is_active {
            let term = self.seen.terms[&id];
            let known = *self.seen.active_in_term.entry(term).or_insert(id);
            assert_eq!(known, id, "seed {seed}: two active controllers in term {term}");
        }
    }

    /// After healing: somebody is active and takes a request, all have the same image, and everything acknowledged is in it.
    pub fn settle(&mut self) {
        let seed = self.seed;
        self.heal();
        let mut asked = Vec::new();
        for round in 0..4_000 {
            self.step();
            if self.alive().len() < self.peers.len() {
                self.heal();
            }
            let healed = asked.iter().any(|name| self.created.lock().contains(name));
            if round % 40 == 0 && !healed {
                // A name of its own each time: an answer may get lost with its leader, although the topic is there.
                asked.push(self.create());
            }
            if healed && self.agree() {
                let image = self.runner(self.active().expect("they agree")).standing().image;
                for name in self.created.lock().iter() {
                    assert!(image.topic_named(name).is_some(), "seed {seed}: {name} was acknowledged and is lost");
                }
                return;
            }
        }
        panic!("seed {seed}: no progress after healing; replay with KAFKALOG_SEED={seed}");
    }

    pub fn agree(&self) -> bool {
        let Some(active) = self.active() else { return false };
        let image = self.runner(active).standing().image;
        let newest = self.seen.images.keys().next_back().copied().unwrap_or(0);
        image.offset() >= newest && self.alive().iter().all(|id| *self.runner(*id).standing().image == *image)
    }
}
