//! Requests of operators, to whoever is the active controller.

use super::errand::{not_an_answer, Errand, Judged, Target};
use super::promise::{Done, Promise};
use super::Client;
use crate::controller::{ControllerRequest, Reply, TopicId};
use crate::error::{ErrorCode, Result};
use crate::time::Instant;
use crate::wire::{Request, Response};
use std::sync::Arc;

/// What the controller has said for good, and as of when.
struct Answer {
    outcome: Result<Reply>,
    metadata_offset: u64,
}

impl Client {
    /// Asks the active controller, wherever it is, until `deadline`. The answer is given when this program's view is as new as the
    /// answer, or the deadline has come: so a topic that was created is found, one that was deleted is not.
    ///
    /// A request whose answer was lost is sent again, as Kafka's admin client does, and may then be told that it is done already:
    /// TOPIC_ALREADY_EXISTS for a topic that has the request's own id is success.
    pub fn ask_controller(&self, request: ControllerRequest, deadline: Instant, done: Done<Reply>) {
        let (me, promise) = (self.me(), Promise::new(done));
        let created = match &request {
            ControllerRequest::CreateTopic(create) => Some((create.name.clone(), create.id)),
            _ => None,
        };
        let is_creation = created.is_some();
        let after = move |outcome: Result<Answer>| match (outcome, me.upgrade()) {
            (Ok(answer), Some(client)) => client.when_known(deadline, answer, created, promise),
            (Ok(answer), None) => promise.keep(answer.outcome),
            (Err(error), _) => promise.keep(Err(error)),
        };
        self.run(Errand {
            target: Target::Controller,
            deadline,
            attempts: 0,
            ask: Box::new(move |_, _| Request::Controller(request.clone())),
            judge: Box::new(move |response| match response {
                Response::Controller(answer) => Judged {
                    outcome: match answer.result {
                        Err(error) if !is_creation || error.code() != ErrorCode::TOPIC_ALREADY_EXISTS => Err(error),
                        outcome => Ok(Answer { outcome, metadata_offset: answer.metadata_offset }),
                    },
                    current_leader: None,
                    controller: answer.leader,
                },
                _ => Judged {
                    outcome: Err(not_an_answer("a controller request")),
                    current_leader: None,
                    controller: None,
                },
            }),
            promise: Promise::new(Box::new(after)),
        });
    }

    /// Gives the answer when the view stands where it stands.
    fn when_known(
        &self,
        deadline: Instant,
        answer: Answer,
        created: Option<(Arc<str>, TopicId)>,
        promise: Promise<Reply>,
    ) {
        let is_known = self.view().metadata_offset().is_some_and(|known| known >= answer.metadata_offset);
        let now = self.clock().monotonic();
        if is_known || now >= deadline {
            let own = created.filter(|(name, id)| self.view().topic(name).is_ok_and(|topic| topic.id == *id));
            return promise.keep(match own {
                Some((_, id)) => Ok(Reply::TopicCreated { id }),
                None => answer.outcome,
            });
        }
        let (me, when) = (self.me(), deadline.min(now + self.settings().retry_backoff));
        let job = move |outcome: Result<()>| match me.upgrade().filter(|_| outcome.is_ok()) {
            Some(client) => client.when_known(deadline, answer, created, promise),
            // It was done, or not, all the same.
            None => promise.keep(answer.outcome),
        };
        self.after(when, Box::new(job));
        self.request_refresh();
    }
}
