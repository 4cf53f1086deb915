//! How far the replicas of a partition are, which only its leader knows.

use super::errand::{not_an_answer, Errand, Judged, Target};
use super::promise::{Done, Promise};
use super::Client;
use crate::time::Instant;
use crate::types::TopicPartition;
use crate::wire::{DescribeReplicasRequest, LedReplicas, Request, Response};

impl Client {
    /// Asks the partition's leader, tried again until `deadline`.
    pub fn describe_replicas(&self, partition: &TopicPartition, deadline: Instant, done: Done<LedReplicas>) {
        let (asked, meant) = (partition.clone(), partition.clone());
        self.run(Errand {
            target: Target::Leader(partition.clone()),
            deadline,
            attempts: 0,
            ask: Box::new(move |_, _| {
                Request::DescribeReplicas(DescribeReplicasRequest { partitions: vec![asked.clone()] })
            }),
            judge: Box::new(move |response| {
                let answer = match response {
                    Response::DescribeReplicas(mut answer) if answer.partitions.len() == 1 => answer.partitions.pop(),
                    _ => None,
                };
                match answer.filter(|answer| answer.partition == meant) {
                    Some(answer) => {
                        let (outcome, current_leader) = (answer.replicas, answer.current_leader);
                        Judged { outcome, current_leader, controller: None }
                    }
                    None => {
                        let outcome = Err(not_an_answer("a question about replicas"));
                        Judged { outcome, current_leader: None, controller: None }
                    }
                }
            }),
            promise: Promise::new(done),
        });
    }
}
