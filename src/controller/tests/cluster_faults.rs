//! What happens to a cluster: faults, and the work that it is asked to do.

use super::cluster_model::Cluster;
use crate::controller::*;
use crate::types::NodeId;

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

impl Cluster {
    pub(super) fn inject(&mut self) {
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
