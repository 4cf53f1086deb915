//! What must be true in every cluster: always, and after healing.

use super::cluster_faults::create;
use super::cluster_model::Cluster;
use crate::controller::*;
use crate::error::ErrorCode;
use crate::types::NodeId;

impl Cluster {
    pub(super) fn note_reply(&mut self, to: NodeId, request_id: u64, response: ControllerResponse) {
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

    pub(super) fn check_image(&mut self, id: NodeId, offset: u64) {
        let image = self.controller(id).image();
        // Several entries may have been applied before we look; then the offset is behind and nothing can be compared.
        if image.offset() != offset {
            return;
        }
        let sum = crc32c::crc32c(&encode_records(&image.to_records()));
        let known = *self.images.entry(offset).or_insert(sum);
        assert_eq!(sum, known, "seed {}: two images at offset {offset}, one at node {id}", self.seed);
    }

    pub(super) fn check_active(&mut self, id: NodeId) {
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

    pub(super) fn agree(&self) -> bool {
        let Some(active) = self.active() else { return false };
        let controller = self.controller(active);
        let membership = controller.membership();
        let members = membership.voters.iter().chain(&membership.learners);
        let offset = controller.image().offset();
        let newest = self.images.keys().next_back().copied().unwrap_or(0);
        offset >= newest && members.clone().all(|id| self.controller(*id).image() == controller.image())
    }
}
