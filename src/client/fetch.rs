//! A partition of somebody else's, for a reader that must not wait: one fetch is always under way at the position that is wanted next, and
//! waits at the leader until there is something.
//!
//! ```text
//!   read(from) --> found already: here it is, and the next fetch begins behind it
//!              `-> nothing yet: a fetch at `from` is under way ---> answer: kept, the listener is told
//!                                                              `--> moved, lost, failed: healed here, tried again
//!                                                              `--> OFFSET_OUT_OF_RANGE ...: for the reader
//! ```
//!
//! So at most two answers are in memory: the one that the reader has and the one that it will ask for next.

use super::aborted::walk;
use super::errand::{milliseconds, not_an_answer, UNKNOWN_TOPIC_ATTEMPTS_MAX};
use super::view::{Leading, ViewSubscription};
use super::Client;
use crate::config::IsolationLevel;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::AbortedTxn;
use crate::time::Instant;
use crate::types::{Offset, TopicPartition};
use crate::wire::{ConsumerFetchPartition, ConsumerFetchPartitionResponse, ConsumerFetchRequest, Request, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Nothing is asked again sooner, whatever the settings say: over a channel it would be asked for ever on one thread.
const PAUSE_MIN: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
pub(crate) struct ReaderSettings {
    /// `fetch.max.wait.ms`.
    pub wait_max: Duration,
    /// `fetch.min.bytes`.
    pub bytes_min: u32,
    /// `max.partition.fetch.bytes`.
    pub bytes_max: u32,
}

/// What the leader's last answer said of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RemoteEnds {
    pub log_start: Offset,
    pub last_stable_offset: Offset,
    pub high_watermark: Offset,
}

/// Whole batches, checksums not yet compared; the first holds the offset that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RemoteRecords {
    pub batches: Bytes,
    /// For `read_committed`: what does not count in them, by first offset.
    pub aborted: Vec<AbortedTxn>,
}

/// Told that a read may find something: records, an error, other ends. On any thread, with no lock held.
pub(crate) type OnFetched = Arc<dyn Fn() + Send + Sync>;

/// See above. Every call from any thread; none blocks. What is under way when it is dropped has no effect.
pub(crate) struct RemoteReader {
    client: Arc<Client>,
    partition: TopicPartition,
    settings: ReaderSettings,
    listener: OnFetched,
    state: Mutex<State>,
    me: Weak<RemoteReader>,
    _news: ViewSubscription,
}

#[derive(Default)]
struct State {
    wanted: Option<(Offset, IsolationLevel)>,
    /// Of the fetch, or the pause before it, that counts; what others bring is too late.
    turn: u64,
    /// One is under way.
    is_busy: bool,
    /// Whom it went to.
    asked: Option<Leading>,
    found: Option<RemoteRecords>,
    next: Option<Offset>,
    error: Option<Error>,
    ends: Option<RemoteEnds>,
    failures: u32,
}

/// A fetch to be sent.
struct Fetch {
    turn: u64,
    from: Offset,
    isolation: IsolationLevel,
}

impl RemoteReader {
    pub fn new(
        client: Arc<Client>,
        partition: TopicPartition,
        settings: ReaderSettings,
        listener: OnFetched,
    ) -> Arc<RemoteReader> {
        Arc::new_cyclic(|me: &Weak<RemoteReader>| {
            let reader = Weak::clone(me);
            let news = client.view().subscribe(Arc::new(move || {
                if let Some(reader) = reader.upgrade() {
                    reader.handle_news();
                }
            }));
            RemoteReader {
                client,
                partition,
                settings,
                listener,
                state: Mutex::default(),
                me: Weak::clone(me),
                _news: news,
            }
        })
    }

    /// What was fetched from there, `None` while there is nothing yet: then a fetch is under way and the listener will be told. More than
    /// the reader has room for may come.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE outside the log; UNKNOWN_TOPIC_OR_PARTITION when the topic is gone; whatever else of the leader's errors does not pass. Each
    /// once: the next read asks again.
    pub fn read(&self, from: Offset, isolation: IsolationLevel) -> Result<Option<RemoteRecords>> {
        // Twice: the answer may be there as soon as the question is out.
        for is_last in [false, true] {
            let (outcome, fetch) = self.state.lock().read(from, isolation);
            let is_begun = fetch.is_some();
            if let Some(fetch) = fetch {
                self.send(&fetch);
            }
            match outcome? {
                None if is_begun && !is_last => {}
                outcome => return Ok(outcome),
            }
        }
        Ok(None)
    }

    /// As of the last answer; `None` before the first.
    pub fn ends(&self) -> Option<RemoteEnds> {
        self.state.lock().ends
    }

    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// A leader that fell silent answers nobody: as soon as another one is known, that one is asked.
    fn handle_news(&self) {
        let Ok(leading) = self.client.view().leader(&self.partition) else { return };
        let fetch = {
            let mut state = self.state.lock();
            let is_older = |asked: &Leading| asked.leader.leader_epoch < leading.leader.leader_epoch;
            if !state.is_busy || !state.asked.as_ref().is_some_and(is_older) {
                return;
            }
            state.begin()
        };
        if let Some(fetch) = fetch {
            self.send(&fetch);
        }
    }

    fn send(&self, fetch: &Fetch) {
        let leading = match self.client.view().leader(&self.partition) {
            Ok(leading) => leading,
            Err(error) => return self.fail(fetch.turn, error),
        };
        {
            let mut state = self.state.lock();
            if state.turn != fetch.turn {
                return;
            }
            state.asked = Some(leading);
        }
        let now = self.client.clock().monotonic();
        let bytes_max = self.settings.bytes_max;
        let request = Request::ConsumerFetch(ConsumerFetchRequest {
            wait_max_ms: milliseconds(now, now + self.settings.wait_max),
            bytes_min: self.settings.bytes_min,
            bytes_max,
            isolation: fetch.isolation,
            partitions: vec![ConsumerFetchPartition {
                partition: self.partition.clone(),
                fetch_offset: fetch.from,
                current_leader_epoch: Some(leading.leader.leader_epoch),
                bytes_max,
            }],
        });
        let deadline = now + self.settings.wait_max + self.client.settings().request_timeout;
        let (me, turn) = (Weak::clone(&self.me), fetch.turn);
        self.client.call(leading.leader.node, request, deadline, move |outcome| {
            if let Some(reader) = me.upgrade() {
                reader.handle_answer(turn, now, leading, outcome);
            }
        });
    }

    fn handle_answer(&self, turn: u64, asked_at: Instant, asked: Leading, outcome: Result<Response>) {
        let (records, answer) = match outcome.and_then(|response| only_fetched(response, &self.partition)) {
            Ok(mut answer) => (std::mem::replace(&mut answer.records, Ok(Bytes::new())), Some(answer)),
            Err(error) => (Err(error), None),
        };
        let records = match records {
            Ok(records) => records,
            Err(error) => {
                self.client.heal(&self.partition, asked, &error, answer.and_then(|answer| answer.current_leader));
                return self.fail(turn, error);
            }
        };
        let answer = answer.expect("records come in an answer");
        let again = {
            let mut state = self.state.lock();
            if state.turn != turn {
                return;
            }
            let before = state.ends;
            state.ends = Some(RemoteEnds {
                log_start: answer.log_start,
                last_stable_offset: answer.last_stable_offset,
                high_watermark: answer.high_watermark,
            });
            state.failures = 0;
            if records.is_empty() {
                Some(before != state.ends)
            } else {
                let walked = walk(&records, &answer.aborted_transactions);
                let from = state.wanted.map(|(from, _)| from);
                state.next = walked.end.filter(|end| Some(*end) > from);
                state.found = Some(RemoteRecords { batches: records, aborted: walked.aborted });
                state.is_busy = false;
                None
            }
        };
        if again != Some(false) {
            (self.listener)();
        }
        if again.is_some() {
            // A leader that answers "nothing" without having waited is not asked more often than it would be after a failure.
            let pause = self.client.settings().retry_backoff.min(self.settings.wait_max).max(PAUSE_MIN);
            let when = asked_at + pause;
            if when <= self.client.clock().monotonic() {
                self.fetch_again(turn);
            } else {
                self.fetch_at(turn, when);
            }
        }
    }

    /// Tries again later, or leaves the error to the reader.
    fn fail(&self, turn: u64, error: Error) {
        let pause = {
            let mut state = self.state.lock();
            if state.turn != turn {
                return;
            }
            state.failures += 1;
            let is_gone = error.code() == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                && state.failures > UNKNOWN_TOPIC_ATTEMPTS_MAX
                && self.client.view().partition(&self.partition).is_err();
            if error.is_retriable() && !is_gone {
                Some(self.client.backoff(state.failures - 1))
            } else {
                state.error = Some(error);
                state.is_busy = false;
                None
            }
        };
        match pause {
            Some(pause) => {
                self.fetch_at(turn, self.client.clock().monotonic() + pause);
                self.client.request_refresh();
            }
            None => (self.listener)(),
        }
    }

    fn fetch_at(&self, turn: u64, when: Instant) {
        let me = Weak::clone(&self.me);
        let job = move |outcome: Result<()>| match (outcome, me.upgrade()) {
            (Ok(()), Some(reader)) => reader.fetch_again(turn),
            (Err(error), Some(reader)) => reader.stop(turn, error),
            (_, None) => {}
        };
        self.client.after(when, Box::new(job));
    }

    fn fetch_again(&self, turn: u64) {
        let fetch = {
            let mut state = self.state.lock();
            if state.turn != turn {
                return;
            }
            state.begin()
        };
        if let Some(fetch) = fetch {
            self.send(&fetch);
        }
    }

    /// Nothing will be tried again by itself.
    fn stop(&self, turn: u64, error: Error) {
        {
            let mut state = self.state.lock();
            if state.turn != turn {
                return;
            }
            state.is_busy = false;
            state.error = Some(error);
        }
        (self.listener)();
    }
}

impl State {
    /// What there is for this position, and the fetch that has to follow.
    fn read(&mut self, from: Offset, isolation: IsolationLevel) -> (Result<Option<RemoteRecords>>, Option<Fetch>) {
        if self.wanted != Some((from, isolation)) {
            *self = State { turn: self.turn, ends: self.ends, wanted: Some((from, isolation)), ..State::default() };
            return (Ok(None), self.begin());
        }
        if let Some(error) = self.error.take() {
            self.wanted = None;
            return (Err(error), None);
        }
        match self.found.take() {
            Some(found) => {
                self.wanted = self.next.take().map(|next| (next, isolation));
                (Ok(Some(found)), self.begin())
            }
            None if self.is_busy => (Ok(None), None),
            None => (Ok(None), self.begin()),
        }
    }

    /// The next fetch, if it is known from where.
    fn begin(&mut self) -> Option<Fetch> {
        let (from, isolation) = self.wanted?;
        self.turn += 1;
        self.is_busy = true;
        self.asked = None;
        Some(Fetch { turn: self.turn, from, isolation })
    }
}

/// The answer for the one partition that was asked for.
fn only_fetched(response: Response, partition: &TopicPartition) -> Result<ConsumerFetchPartitionResponse> {
    let answer = match response {
        Response::ConsumerFetch(mut answer) if answer.partitions.len() == 1 => answer.partitions.pop(),
        _ => None,
    };
    answer.filter(|answer| answer.partition == *partition).ok_or_else(|| not_an_answer("a fetch"))
}

impl fmt::Debug for RemoteReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteReader({})", self.partition)
    }
}
