//! Outstanding requests. Each is answered exactly once, by whatever comes first: its answer, the loss of the connection, its deadline,
//! the end of these calls.
//!
//! ```text
//!   call(request, done) --> numbered, kept --> Transport::send
//!                                 |                 `-- not taken: done(NETWORK_EXCEPTION ...)
//!   handle_response ------------->|--> done(answer)
//!   handle_peer_down ------------>|--> done(NETWORK_EXCEPTION)
//!   tick(now) ------------------->|--> done(REQUEST_TIMED_OUT)
//! ```
//!
//! A request whose answer did not come may have been carried out all the same. An answer that nobody waits for any more (late, repeated,
//! of another node) is ignored.

use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::transport::Transport;
use crate::types::NodeId;
use crate::wire::{encode, CorrelationId, Message, Request, Response};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU64;

/// So many requests may wait for their answers; one more is refused with QUEUE_FULL.
pub(crate) const CALLS_MAX: usize = 16 * 1024;

/// Called once, with no lock held.
type Done = Box<dyn FnOnce(Result<Response>) + Send>;

/// Outstanding requests by their numbers. Every call from any thread.
pub(crate) struct Calls {
    state: Mutex<State>,
}

struct State {
    next: NonZeroU64,
    open: BTreeMap<CorrelationId, Open>,
    deadlines: BTreeSet<(Instant, CorrelationId)>,
    /// Why nothing is asked any more.
    closed: Option<Error>,
}

struct Open {
    to: NodeId,
    deadline: Instant,
    done: Done,
}

impl Calls {
    pub fn new() -> Calls {
        Calls::numbered_from(NonZeroU64::MIN)
    }

    /// The first request gets the number `first`. A node whose number outlives its process takes one that no earlier life has used, so
    /// that an answer that was long under way is not taken for another's.
    pub fn numbered_from(first: NonZeroU64) -> Calls {
        let state = State { next: first, open: BTreeMap::new(), deadlines: BTreeSet::new(), closed: None };
        Calls { state: Mutex::new(state) }
    }

    /// Sends `request`. `done` is called once, with no lock held, perhaps before this returns: with the answer, or with
    /// what the other side said instead of one (`Response::Failed`); NETWORK_EXCEPTION when it could not be sent or the connection went
    /// down; QUEUE_FULL when too much waits, here or for this node; REQUEST_TIMED_OUT; MESSAGE_TOO_LARGE and DESTROY, which no repetition
    /// mends.
    ///
    /// A deadline that is earlier than all others is the caller's to remember: see [`poll_timeout`](Calls::poll_timeout).
    pub fn call(
        &self,
        transport: &dyn Transport,
        to: NodeId,
        request: Request,
        deadline: Instant,
        done: impl FnOnce(Result<Response>) + Send + 'static,
    ) {
        let correlation = match self.state.lock().admit(to, deadline, Box::new(done)) {
            Ok(correlation) => correlation,
            Err((error, done)) => return done(Err(error)),
        };
        let sent = encode(&Message::Request { correlation: Some(correlation), request })
            .and_then(|frame| transport.send(to, frame));
        if let Err(error) = sent {
            self.finish(correlation, None, Err(not_sent(to, &error)));
        }
    }

    /// An answer has come from this node.
    pub fn handle_response(&self, from: NodeId, correlation: CorrelationId, response: Response) {
        let outcome = match response {
            Response::Failed(error) => Err(error),
            response => Ok(response),
        };
        self.finish(correlation, Some(from), outcome);
    }

    /// The connection with this node has ended: what it was asked stays without an answer.
    pub fn handle_peer_down(&self, peer: NodeId) {
        let lost = self.state.lock().take_where(|call| call.to == peer);
        for call in lost {
            let text = format!("the connection with {peer} was lost before its answer came");
            (call.done)(Err(Error::new(ErrorCode::NETWORK_EXCEPTION, text)));
        }
    }

    /// Fails what is past its deadline; says when to come again.
    pub fn tick(&self, now: Instant) -> Option<Instant> {
        let late = self.state.lock().take_late(now);
        for call in late {
            let text = format!("{} has not answered in time", call.to);
            (call.done)(Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, text)));
        }
        self.poll_timeout()
    }

    /// The next deadline.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.state.lock().deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Requests that wait for their answers.
    pub fn count(&self) -> usize {
        self.state.lock().open.len()
    }

    /// Answers everything with `error`, and from now on every call at once.
    pub fn close(&self, error: &Error) {
        let open = {
            let mut state = self.state.lock();
            state.closed.get_or_insert_with(|| error.clone());
            state.take_where(|_| true)
        };
        for call in open {
            (call.done)(Err(error.clone()));
        }
    }

    /// Answers this call, if it is still there and `from` is whom it went to.
    fn finish(&self, correlation: CorrelationId, from: Option<NodeId>, outcome: Result<Response>) {
        let taken = {
            let mut state = self.state.lock();
            let is_meant = state.open.get(&correlation).is_some_and(|call| from.is_none_or(|from| from == call.to));
            if is_meant {
                state.take(correlation)
            } else {
                None
            }
        };
        if let Some(call) = taken {
            (call.done)(outcome);
        }
    }
}

impl State {
    /// Numbers the call and keeps it, or gives it back.
    fn admit(
        &mut self,
        to: NodeId,
        deadline: Instant,
        done: Done,
    ) -> std::result::Result<CorrelationId, (Error, Done)> {
        if let Some(error) = &self.closed {
            return Err((error.clone(), done));
        }
        if self.open.len() >= CALLS_MAX {
            let text = format!("{CALLS_MAX} requests wait for their answers already; try again later");
            return Err((Error::new(ErrorCode::QUEUE_FULL, text), done));
        }
        let correlation = CorrelationId(self.next);
        // Nobody sends 2^64 requests; a first number that is near the end goes on from the beginning.
        self.next = self.next.checked_add(1).unwrap_or(NonZeroU64::MIN);
        self.open.insert(correlation, Open { to, deadline, done });
        self.deadlines.insert((deadline, correlation));
        Ok(correlation)
    }

    fn take(&mut self, correlation: CorrelationId) -> Option<Open> {
        let call = self.open.remove(&correlation)?;
        self.deadlines.remove(&(call.deadline, correlation));
        Some(call)
    }

    fn take_where(&mut self, is_meant: impl Fn(&Open) -> bool) -> Vec<Open> {
        let meant: Vec<CorrelationId> =
            self.open.iter().filter(|(_, call)| is_meant(call)).map(|(number, _)| *number).collect();
        meant.into_iter().filter_map(|number| self.take(number)).collect()
    }

    fn take_late(&mut self, now: Instant) -> Vec<Open> {
        let mut late = Vec::new();
        while let Some((deadline, correlation)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            late.extend(self.take(correlation));
        }
        late
    }
}

/// Sends a request that nobody answers. What the transport took may be lost all the same.
///
/// # Errors
/// As the answers of [`Calls::call`] to what could not be sent.
pub(crate) fn send_one_way(transport: &dyn Transport, to: NodeId, request: Request) -> Result<()> {
    let frame = encode(&Message::Request { correlation: None, request })?;
    transport.send(to, frame).map_err(|error| not_sent(to, &error))
}

/// A transport's refusal in the words of a caller, who wants to know whether to try again.
fn not_sent(to: NodeId, error: &Error) -> Error {
    match error.code() {
        ErrorCode::QUEUE_FULL | ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::DESTROY => {
            error.clone().within(format_args!("asking {to}"))
        }
        _ => Error::new(ErrorCode::NETWORK_EXCEPTION, format!("asking {to}: {}", error.message())),
    }
}

impl Drop for Calls {
    /// Whoever still waits is told.
    fn drop(&mut self) {
        self.close(&Error::new(ErrorCode::DESTROY, "whoever asked is closed"));
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("count", &self.count()).finish_non_exhaustive()
    }
}
