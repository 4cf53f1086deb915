//! A client's request comes in, its answer goes out.

use super::delete_records::DeleteRecords;
use super::describe_replicas::describe_replicas;
use super::fetch::ConsumerFetch;
use super::list_offsets::list_offsets;
use super::partition::ClientPartitions;
use super::produce::Produce;
use super::purgatory::{Asker, Operation, Purgatory};
use crate::time::Instant;
use crate::types::{NodeId, TopicPartition};
use crate::wire::{CorrelationId, Request, Response};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Carries an answer away. Called once for each request that wants one, with no lock held.
pub(crate) trait Answers: Send + Sync {
    fn answer(&self, to: NodeId, correlation: CorrelationId, response: Response);
}

/// Sees to it that [`Clients::tick`] is called not later than then. Called with no lock held.
pub(crate) type WakeBy = Arc<dyn Fn(Instant) + Send + Sync>;

/// What a node answers to clients. Every call from any thread.
pub(crate) struct Clients {
    partitions: Arc<dyn ClientPartitions>,
    answers: Arc<dyn Answers>,
    wake_by: WakeBy,
    purgatory: Purgatory,
}

impl Clients {
    pub fn new(partitions: Arc<dyn ClientPartitions>, answers: Arc<dyn Answers>, wake_by: WakeBy) -> Clients {
        Clients { partitions, answers, wake_by, purgatory: Purgatory::default() }
    }

    /// Answers a client's request now or later; gives back what is none of this room's business. A request without a correlation is
    /// carried out and not answered.
    pub fn handle_request(
        &self,
        from: NodeId,
        correlation: Option<CorrelationId>,
        request: Request,
        now: Instant,
    ) -> Option<Request> {
        let asker = correlation.map(|correlation| Asker { from, correlation });
        let partitions = &self.partitions;
        match request {
            Request::Produce(request) => {
                let deadline = now + Duration::from_millis(request.timeout_ms.into());
                // Appended whether or not somebody wants to hear of it.
                let produce = Produce::begin(request, Arc::clone(partitions));
                if let Some(asker) = asker {
                    self.answer_or_wait(asker, deadline, Box::new(produce));
                }
            }
            Request::ConsumerFetch(request) => {
                let deadline = now + Duration::from_millis(request.wait_max_ms.into());
                if let Some(asker) = asker {
                    let mut fetch = ConsumerFetch::new(request, Arc::clone(partitions));
                    if deadline == now {
                        self.answer(asker, fetch.expire());
                    } else {
                        self.answer_or_wait(asker, deadline, Box::new(fetch));
                    }
                }
            }
            Request::DeleteRecords(request) => {
                let deadline = now + Duration::from_millis(request.timeout_ms.into());
                let delete = DeleteRecords::begin(&request, Arc::clone(partitions));
                if let Some(asker) = asker {
                    self.answer_or_wait(asker, deadline, Box::new(delete));
                }
            }
            Request::ListOffsets(request) => {
                if let Some(asker) = asker {
                    self.answer(asker, Response::ListOffsets(list_offsets(&request, &**partitions)));
                }
            }
            Request::Metadata(request) => {
                if let Some(asker) = asker {
                    self.answer(asker, Response::Metadata(partitions.metadata(request.topics.as_deref())));
                }
            }
            Request::DescribeReplicas(request) => {
                if let Some(asker) = asker {
                    let described = describe_replicas(request, &**partitions);
                    self.answer(asker, Response::DescribeReplicas(described));
                }
            }
            other => return Some(other),
        }
        None
    }

    /// The high watermark, the last stable offset, the log's start, a follower's log start, the role, or the leader of this partition is
    /// another one now, or it went offline or away. Called after the partition's lock was released. One load when nobody waits.
    pub fn handle_partition_changed(&self, partition: &TopicPartition) {
        self.purgatory.handle_changed(partition, &|asker, response| self.answer(asker, response));
    }

    /// Nobody is there any more to hear this client's answers. What it produced stays.
    pub fn handle_peer_down(&self, peer: NodeId) {
        self.purgatory.forget(|asker| asker.from == peer);
    }

    /// Answers those whose time is over; says when to come again.
    pub fn tick(&self, now: Instant) -> Option<Instant> {
        self.purgatory.tick(now, &|asker, response| self.answer(asker, response))
    }

    /// Requests that wait.
    pub fn waiting_count(&self) -> usize {
        self.purgatory.count()
    }

    /// Nothing is answered any more.
    pub fn close(&self) {
        self.purgatory.forget(|_| true);
    }

    fn answer_or_wait(&self, asker: Asker, deadline: Instant, mut operation: Box<dyn Operation>) {
        // Most need not wait, and what does not wait is on no list.
        if let Some(response) = operation.look() {
            return self.answer(asker, response);
        }
        let waits = self.purgatory.add(asker, deadline, operation, &|asker, response| self.answer(asker, response));
        if waits {
            (self.wake_by)(deadline);
        }
    }

    fn answer(&self, asker: Asker, response: Response) {
        self.answers.answer(asker.from, asker.correlation, response);
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("waiting", &self.waiting_count()).finish_non_exhaustive()
    }
}
