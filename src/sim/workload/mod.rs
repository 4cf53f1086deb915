//! The programs that use the cluster: producers, readers, an administrator. Each is a small state of its own; the world carries out what
//! it wants and tells it what came of it.

mod admin;
mod producer;
mod reader;

pub use admin::{Admin, Wanted};
pub use producer::{Outcome, Producer, Waiting};
pub use reader::Reader;

use super::plan::Plan;
use crate::types::TopicPartition;

/// Everybody who works on one cluster.
pub struct Workload {
    pub producers: Vec<Producer>,
    pub readers: Vec<Reader>,
    pub admin: Admin,
}

impl Workload {
    pub fn new(plan: &Plan, rng: &mut fastrand::Rng) -> Workload {
        let partitions: Vec<TopicPartition> = plan
            .topics
            .iter()
            .flat_map(|topic| (0..topic.partitions).map(|number| TopicPartition::new(topic.name.as_str(), number)))
            .collect();
        let mut any = || partitions[rng.usize(..partitions.len())].clone();
        let producers = (0..).zip(&plan.producers).map(|(id, plan)| Producer::new(id, *plan, any())).collect();
        let readers = (0..plan.readers).map(|_| Reader::new(any())).collect();
        Workload { producers, readers, admin: Admin::new(plan) }
    }
}
