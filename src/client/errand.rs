//! A request that is tried again until it has an answer that no repetition would better, or its deadline.

use super::promise::Promise;
use super::view::Leading;
use super::Client;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId, TopicPartition};
use crate::wire::{CurrentLeader, Request, Response};
use std::sync::Arc;

/// A topic that is not in the metadata is looked for so many times: it may have been created a moment ago.
pub(super) const UNKNOWN_TOPIC_ATTEMPTS_MAX: u32 = 3;

/// Whom it goes to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Leader(TopicPartition),
    Controller,
}

/// What an answer means.
pub(super) struct Judged<T> {
    pub outcome: Result<T>,
    /// Where the answer says that one should have gone.
    pub current_leader: Option<CurrentLeader>,
    pub controller: Option<NodeId>,
}

/// How the request looks when it goes to a leader of this epoch, with so many milliseconds left.
type Ask = Box<dyn Fn(Option<LeaderEpoch>, u32) -> Request + Send>;
type Judge<T> = Box<dyn Fn(Response) -> Judged<T> + Send>;

pub(super) struct Errand<T> {
    pub target: Target,
    pub deadline: Instant,
    pub attempts: u32,
    pub ask: Ask,
    pub judge: Judge<T>,
    pub promise: Promise<T>,
}

/// Whom it went to.
enum Asked {
    Leader(TopicPartition, Leading),
    Controller(NodeId),
}

impl Client {
    /// One attempt, and the next ones.
    pub(super) fn run<T: Send + 'static>(&self, errand: Errand<T>) {
        let (asked, to, epoch) = match &errand.target {
            Target::Leader(partition) => match self.view().leader(partition) {
                Ok(leading) => {
                    let CurrentLeader { node, leader_epoch } = leading.leader;
                    (Asked::Leader(partition.clone(), leading), node, Some(leader_epoch))
                }
                Err(error) => return self.try_again(errand, error),
            },
            Target::Controller => match self.view().controller() {
                Some(node) => (Asked::Controller(node), node, None),
                None => {
                    let error = Error::new(ErrorCode::NOT_CONTROLLER, "it is not known who the controller is");
                    return self.try_again(errand, error);
                }
            },
        };
        let now = self.clock().monotonic();
        let deadline = errand.deadline.min(now + self.settings().request_timeout);
        let request = (errand.ask)(epoch, milliseconds(now, deadline));
        let me = self.me();
        self.call(to, request, deadline, move |outcome| match me.upgrade() {
            Some(client) => client.finish(errand, &asked, outcome),
            None => drop(errand),
        });
    }

    fn finish<T: Send + 'static>(self: &Arc<Self>, errand: Errand<T>, asked: &Asked, outcome: Result<Response>) {
        let judged = match outcome {
            Ok(response) => (errand.judge)(response),
            Err(error) => Judged { outcome: Err(error), current_leader: None, controller: None },
        };
        let error = match judged.outcome {
            Ok(value) => return errand.promise.keep(Ok(value)),
            Err(error) => error,
        };
        match asked {
            Asked::Leader(partition, leading) => self.heal(partition, *leading, &error, judged.current_leader),
            Asked::Controller(node) if error.code() == ErrorCode::NOT_CONTROLLER => {
                if self.view().handle_controller_hint(*node, judged.controller.filter(|says| says != node)) {
                    // Somebody knows better: at once, but not for ever.
                    if errand.attempts <= UNKNOWN_TOPIC_ATTEMPTS_MAX && self.clock().monotonic() < errand.deadline {
                        return self.run(Errand { attempts: errand.attempts + 1, ..errand });
                    }
                }
            }
            Asked::Controller(_) => {}
        }
        if error.is_retriable() {
            self.try_again(errand, error);
        } else {
            errand.promise.keep(Err(error));
        }
    }

    /// After a pause, or as soon as something new is known.
    fn try_again<T: Send + 'static>(&self, errand: Errand<T>, error: Error) {
        let is_unknown = error.code() == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        if is_unknown && errand.attempts >= UNKNOWN_TOPIC_ATTEMPTS_MAX {
            return errand.promise.keep(Err(error));
        }
        let now = self.clock().monotonic();
        let when = now + self.backoff(errand.attempts);
        if when >= errand.deadline {
            let text = format!("no success in time; the last attempt: {error}");
            return errand.promise.keep(Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, text)));
        }
        let me = self.me();
        let next = Errand { attempts: errand.attempts + 1, ..errand };
        let job = move |outcome: Result<()>| match (outcome, me.upgrade()) {
            (Ok(()), Some(client)) => client.run(next),
            (Ok(()), None) => drop(next),
            (Err(error), _) => next.promise.keep(Err(error)),
        };
        self.after(when, Box::new(job));
        // Afterwards, so that an answer that is there at once finds it waiting.
        self.request_refresh();
    }
}

/// What is left, as requests carry it.
pub(super) fn milliseconds(now: Instant, deadline: Instant) -> u32 {
    u32::try_from(deadline.since(now).as_millis()).unwrap_or(u32::MAX)
}

/// An answer of another kind than the question's.
pub(super) fn not_an_answer(to: &str) -> Error {
    Error::new(ErrorCode::CORRUPT_MESSAGE, format!("what came is no answer to {to}"))
}
