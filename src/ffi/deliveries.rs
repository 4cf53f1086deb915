//! What a host's transport brings, one at a time on a thread.
//!
//! A host may deliver from inside of one of its own functions, most simply when `send` hands the frame straight to another engine of
//! the process. Then the frame waits until that function has come back, and is worked off on the same thread: no engine is entered
//! while the host is in the middle of something, and two engines that answer each other for ever need no more stack than one call.

use super::guard;
use crate::{Error, ErrorCode, Inbox, NodeId, Result};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::VecDeque;

/// How many frames one thread may have waiting.
const WAITING_MAX: usize = 64 * 1024;

/// What the host said, on its way to a node.
pub(super) enum Delivery {
    Frame { inbox: Inbox, from: NodeId, frame: Bytes },
    PeerState { inbox: Inbox, peer: NodeId, up: bool },
}

impl Delivery {
    fn make(self) {
        match self {
            Delivery::Frame { inbox, from, frame } => inbox.deliver(from, frame),
            Delivery::PeerState { inbox, peer, up } => inbox.peer_state(peer, up),
        }
    }
}

#[derive(Default)]
struct Turn {
    is_working: bool,
    waiting: VecDeque<Delivery>,
}

thread_local! {
    static TURN: RefCell<Turn> = RefCell::default();
}

/// Makes a delivery now, on this thread; inside of another one, or of a function of the host, when that is over.
///
/// # Errors
/// QUEUE_FULL when too many frames wait on this thread.
pub(super) fn hand_over(delivery: Delivery) -> Result<()> {
    let taken = TURN.try_with(|turn| {
        let mut turn = turn.borrow_mut();
        // A state must not get lost; there are as many as connections come and go.
        if turn.waiting.len() >= WAITING_MAX && matches!(delivery, Delivery::Frame { .. }) {
            return Err(Error::new(ErrorCode::QUEUE_FULL, format!("{WAITING_MAX} frames wait on this thread already")));
        }
        turn.waiting.push_back(delivery);
        Ok(())
    });
    // A thread that is being torn down carries nothing any more: the frame is lost.
    taken.unwrap_or(Ok(()))?;
    work_off();
    Ok(())
}

/// Makes the deliveries that wait on this thread, unless it is in the middle of something. To be called with no lock held.
pub(super) fn work_off() {
    if guard::is_in_callback() || !TURN.try_with(|turn| turn.borrow_mut().begin()).unwrap_or(false) {
        return;
    }
    let _rest = Rest;
    while let Some(next) = TURN.with_borrow_mut(|turn| turn.waiting.pop_front()) {
        next.make();
    }
}

impl Turn {
    fn begin(&mut self) -> bool {
        let is_mine = !self.is_working && !self.waiting.is_empty();
        self.is_working |= is_mine;
        is_mine
    }
}

/// However the work ends, also by a panic of a receiver: the thread may deliver again, and what waited is lost.
struct Rest;

impl Drop for Rest {
    fn drop(&mut self) {
        let waiting = TURN.with_borrow_mut(|turn| {
            turn.is_working = false;
            std::mem::take(&mut turn.waiting)
        });
        drop(waiting);
    }
}
