//! For those who want to know how it is now: they wait for metadata that were asked for after they came.

use super::promise::{gone, Done, Promise};
use super::Client;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::wire::{MetadataRequest, Request, Response};
use std::fmt;
use std::sync::Arc;

/// So many may wait for news at a time.
pub(super) const LATEST_MAX: usize = 1_024;

/// Who waits, each with the number of the question that was the last one when it came.
#[derive(Default)]
pub(super) struct Latest {
    asked: u64,
    waiting: Vec<(u64, Promise<()>)>,
    closed: Option<Error>,
}

impl Latest {
    /// Keeps the promise, or gives it back with the reason.
    pub fn add(&mut self, promise: Promise<()>) -> std::result::Result<(), (Error, Promise<()>)> {
        if let Some(error) = &self.closed {
            return Err((error.clone(), promise));
        }
        if self.waiting.len() >= LATEST_MAX {
            let text = format!("{LATEST_MAX} calls wait for the cluster's metadata already; try again later");
            return Err((Error::new(ErrorCode::QUEUE_FULL, text), promise));
        }
        self.waiting.push((self.asked, promise));
        Ok(())
    }

    /// A question goes out; its number.
    pub fn begin(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// It was answered: who may go on.
    pub fn finish(&mut self, number: u64) -> Vec<Promise<()>> {
        let (done, waiting) = self.waiting.drain(..).partition(|(came, _)| *came < number);
        self.waiting = waiting;
        let done: Vec<(u64, Promise<()>)> = done;
        done.into_iter().map(|(_, promise)| promise).collect()
    }

    pub fn is_wanted(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn close(&mut self, error: &Error) -> Vec<Promise<()>> {
        self.closed.get_or_insert_with(|| error.clone());
        std::mem::take(&mut self.waiting).into_iter().map(|(_, promise)| promise).collect()
    }
}

impl Client {
    /// Calls `done` when the view is as new as this call. For those who do not feed the view themselves; it may take for ever.
    pub fn when_latest(&self, done: Done<()>) {
        match self.wait_for_latest(Promise::new(done)) {
            Ok(()) => self.request_refresh(),
            Err((error, promise)) => promise.keep(Err(error)),
        }
    }

    /// Tells a node that somebody wants to send to this topic: it creates it where its `auto.create.topics.enable` says so. When it does,
    /// or the topic is there, the answer is success; it may take a while until others know the topic.
    ///
    /// Errors: UNKNOWN_TOPIC_OR_PARTITION where it does not; LEADER_NOT_AVAILABLE while no node is connected; those of
    /// [`Calls::call`](super::Calls::call).
    pub fn want_topic(&self, name: &Arc<str>, deadline: Instant, done: Done<()>) {
        let Some(node) = self.some_node() else {
            self.request_refresh();
            return done(Err(Error::new(ErrorCode::LEADER_NOT_AVAILABLE, "no node of the cluster is connected")));
        };
        let deadline = deadline.min(self.clock().monotonic() + self.settings().request_timeout);
        let (name, promise) = (Arc::clone(name), Promise::new(done));
        let request = Request::Metadata(MetadataRequest { topics: Some(vec![Arc::clone(&name)]) });
        self.call(node, request, deadline, move |outcome| {
            promise.keep(outcome.and_then(|response| wanted(response, &name)));
        });
    }
}

fn wanted(response: Response, name: &str) -> Result<()> {
    let Response::Metadata(mut metadata) = response else {
        return Err(super::errand::not_an_answer("a question about a topic"));
    };
    let topic = metadata.topics.pop().filter(|topic| &*topic.name == name);
    match topic.ok_or_else(gone)?.description {
        Ok(_) => Ok(()),
        Err(error) if error.code() == ErrorCode::LEADER_NOT_AVAILABLE => Ok(()),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Latest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
