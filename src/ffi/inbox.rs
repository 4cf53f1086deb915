//! `kafkalog_inbox_t`: where a host's transport delivers what came in.

use super::accounts::{is_client, Accounts};
use super::deliveries::{hand_over, Delivery};
use super::engine::Core;
use super::error;
use super::guard::{self, Birth, Handle};
use super::kafkalog_code_t;
use super::pointers::{input, kafkalog_bytes_t};
use crate::{Error, ErrorCode, Inbox, NodeId, Result, FRAME_BYTES_MAX};
use bytes::Bytes;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// Where a transport of the host's delivers. Any thread at any time, also inside a callback.
///
/// It is the host's from `start` until kafkalog_inbox_release(), and the memory stays until both that and the transport's `release`
/// were called: a thread of the host that delivers too late is told so.
pub struct kafkalog_inbox_t {
    inbox: Inbox,
    me: NodeId,
    accounts: Arc<Accounts>,
    /// Whom a bug on the way in brings down.
    core: Arc<OnceLock<Weak<Core>>>,
    is_closed: AtomicBool,
    is_released: AtomicBool,
    birth: Birth,
}

impl Handle for kafkalog_inbox_t {
    fn birth(&self) -> Birth {
        self.birth
    }
}

/// As C counts nodes: clients are negative.
pub(super) fn node_of(number: i32) -> NodeId {
    NodeId(number as u32)
}

/// The reverse.
pub(super) fn number_of(node: NodeId) -> i32 {
    node.0 as i32
}

impl kafkalog_inbox_t {
    pub(super) fn new(
        me: NodeId,
        inbox: Inbox,
        accounts: Arc<Accounts>,
        core: Arc<OnceLock<Weak<Core>>>,
    ) -> Arc<kafkalog_inbox_t> {
        Arc::new(kafkalog_inbox_t {
            inbox,
            me,
            accounts,
            core,
            is_closed: AtomicBool::new(false),
            is_released: AtomicBool::new(false),
            birth: Birth::now(),
        })
    }

    /// The host's own reference, which kafkalog_inbox_release() ends.
    pub(super) fn lend(self: &Arc<Self>) -> *mut kafkalog_inbox_t {
        Arc::into_raw(Arc::clone(self)).cast_mut()
    }

    /// From now on the host is told that it is over.
    pub(super) fn refuse(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Waits until what is inside has come out.
    pub(super) fn close(&self) {
        self.refuse();
        self.inbox.close();
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorCode::DESTROY, "the inbox is closed"));
        }
        Ok(())
    }

    fn deliver(&self, from: NodeId, frame: &[u8]) -> Result<()> {
        self.check_open()?;
        if from == self.me || (!is_client(from) && !self.accounts.knows(from)) {
            let text = format!("{from} is no other node that this one was told of by set_peer");
            return Err(Error::new(ErrorCode::BROKER_NOT_AVAILABLE, text));
        }
        if frame.len() > FRAME_BYTES_MAX as usize {
            let text = format!("a frame of {} bytes; {FRAME_BYTES_MAX} may travel", frame.len());
            return Err(Error::new(ErrorCode::MESSAGE_TOO_LARGE, text));
        }
        let mut copy = Vec::new();
        copy.try_reserve_exact(frame.len())
            .map_err(|_| Error::new(ErrorCode::NOMEM, format!("no memory for a frame of {} bytes", frame.len())))?;
        copy.extend_from_slice(frame);
        let frame = Bytes::from(copy);
        self.accounts.received(from, frame.len());
        hand_over(Delivery::Frame { inbox: self.inbox.clone(), from, frame })
    }

    fn turn(&self, peer: NodeId, up: bool) -> Result<()> {
        self.check_open()?;
        if peer == self.me || !self.accounts.turn(peer, up) {
            return Ok(());
        }
        hand_over(Delivery::PeerState { inbox: self.inbox.clone(), peer, up })
    }
}

/// One call of the host, inside of a callback or not. The inbox stays alive during it, whoever gives it back meanwhile.
///
/// # Safety
/// `inbox` is NULL or came from `start`, and its memory is still there.
unsafe fn visit(inbox: *mut kafkalog_inbox_t, body: impl FnOnce(&kafkalog_inbox_t) -> Result<()>) -> kafkalog_code_t {
    // SAFETY: the caller's promise.
    let outcome = unsafe { guard::borrow(inbox, "inbox") }.and_then(|_| {
        // SAFETY: it was looked at just now, and was made by `Arc::into_raw`.
        let own = unsafe {
            Arc::increment_strong_count(inbox);
            Arc::from_raw(inbox)
        };
        let outcome = guard::caught_anywhere(|| body(&own));
        if let (Err(error), Some(core)) = (&outcome, own.core.get().and_then(Weak::upgrade)) {
            if error.code() == ErrorCode::PANIC {
                core.fail(error.clone());
            }
        }
        outcome
    });
    // SAFETY: NULL may always be given.
    unsafe { error::answer(outcome, null_mut()) }
}

/// Gives the engine a frame that came in from a node, which set_peer has named before, or from a client. The frame may have
/// been repeated or overtaken by another; a damaged one must be dropped.
///
/// It is copied. [MT][CB]; blocks while the engine works on it, which may be as long as a write takes, so a thread for each connection is
/// best; except inside a callback, after which the engine gets it. Codes: BROKER_NOT_AVAILABLE (8; no such
/// node), MESSAGE_TOO_LARGE (10), _QUEUE_FULL (only inside a callback), _NOMEM, _DESTROY (the transport was stopped, or the inbox
/// released), _INVALID_ARG, _PANIC.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_inbox_deliver(
    inbox: *mut kafkalog_inbox_t,
    from_node: i32,
    frame: kafkalog_bytes_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe { visit(inbox, |own| own.deliver(node_of(from_node), input(frame.data, frame.len, "frame")?)) }
}

/// Tells the engine that a connection with a node or client begins (`up` not 0) or has ended. Frames of a connection come between
/// the two. A client's number is free for another one when its connection has ended.
///
/// [MT][CB]; blocks as kafkalog_inbox_deliver() does.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_inbox_peer_state(inbox: *mut kafkalog_inbox_t, node_id: i32, up: i32) {
    // SAFETY: NULL or alive, says the header.
    unsafe { visit(inbox, |own| own.turn(node_of(node_id), up != 0)) };
}

/// Says that the host delivers nothing more; NULL is fine. Threads of the host that still do are answered _DESTROY until the
/// transport's `release` has come back; then nobody may touch the inbox.
///
/// Called once for every inbox that `start` was given, whatever it answered. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_inbox_release(inbox: *mut kafkalog_inbox_t) {
    // SAFETY: NULL or alive, says the header.
    let Ok(own) = (unsafe { guard::borrow(inbox, "inbox") }) else { return };
    own.refuse();
    if !own.is_released.swap(true, Ordering::AcqRel) {
        // SAFETY: made by `Arc::into_raw`, and given back for the first time.
        drop(unsafe { Arc::from_raw(inbox) });
    }
}
