//! One delivery at a time on a thread: whoever sends while delivering only leaves it here, and the outermost call works it off.
//! So two nodes that answer each other for ever on one thread need no more stack than one call.

use super::{Frame, Inbox};
use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;
use std::cell::RefCell;
use std::collections::VecDeque;

/// How many frames one thread may have waiting.
pub(super) const CALLS_WAITING_MAX: usize = 64 * 1024;
/// Calls that a thread at rest has room for.
const ROOM_KEPT: usize = 64;

/// A call of a receiver.
pub(super) enum Call {
    Deliver { inbox: Inbox, from: NodeId, frame: Frame },
    PeerState { inbox: Inbox, peer: NodeId, up: bool },
}

impl Call {
    fn make(self) {
        match self {
            Call::Deliver { inbox, from, frame } => inbox.deliver_parts(from, frame),
            Call::PeerState { inbox, peer, up } => inbox.peer_state(peer, up),
        }
    }
}

#[derive(Default)]
struct Trampoline {
    is_bouncing: bool,
    waiting: VecDeque<Call>,
}

thread_local! {
    static TRAMPOLINE: RefCell<Trampoline> = RefCell::default();
}

/// Makes the call now, on this thread, and after it those that came up meanwhile; inside of another call it waits for its turn.
///
/// # Errors
/// QUEUE_FULL when too many wait on this thread.
pub(super) fn bounce(call: Call) -> Result<()> {
    let turn = TRAMPOLINE.try_with(|trampoline| {
        let mut trampoline = trampoline.borrow_mut();
        if !trampoline.is_bouncing {
            trampoline.is_bouncing = true;
            return Ok(Some(call));
        }
        // A state must not get lost; there are as many as connections come and go.
        if trampoline.waiting.len() >= CALLS_WAITING_MAX && matches!(call, Call::Deliver { .. }) {
            return Err(Error::new(
                ErrorCode::QUEUE_FULL,
                format!("{CALLS_WAITING_MAX} frames wait on this thread already"),
            ));
        }
        trampoline.waiting.push_back(call);
        Ok(None)
    });
    // A thread that is being torn down carries nothing any more: the frame is lost.
    let Ok(turn) = turn else { return Ok(()) };
    let mut next = turn?;
    if next.is_some() {
        let _rest = Rest;
        while let Some(call) = next {
            call.make();
            next = TRAMPOLINE.with_borrow_mut(|trampoline| trampoline.waiting.pop_front());
        }
    }
    Ok(())
}

/// However the outermost call ends, also by a panic of a receiver: the thread may deliver again, and what waited is lost.
struct Rest;

impl Drop for Rest {
    fn drop(&mut self) {
        let waiting = TRAMPOLINE.with_borrow_mut(|trampoline| {
            trampoline.is_bouncing = false;
            // Room for a few stays, for the next time.
            let is_to_go = !trampoline.waiting.is_empty() || trampoline.waiting.capacity() > ROOM_KEPT;
            if is_to_go {
                std::mem::take(&mut trampoline.waiting)
            } else {
                VecDeque::new()
            }
        });
        drop(waiting);
    }
}
