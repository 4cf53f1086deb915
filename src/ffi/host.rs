//! `kafkalog_transport_vtable_t`: the host's functions for a network, checked, and the calls of them.

use super::error::c_string;
use super::guard::{in_callback, null, Birth};
use super::inbox::{kafkalog_inbox_t, number_of};
use super::kafkalog_code_t;
use super::pointers::{invalid, kafkalog_bytes_t};
use crate::{Error, ErrorCode, Frame, NodeId, Result};
use std::ffi::{c_char, c_void};
use std::mem::size_of;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A network of the host's, for kafkalog_transport_register(). Set all to 0, then `struct_size` and the functions, all of which are
/// needed.
///
/// They are called from threads of the library and from those that call it, `send` by several at once, with no lock held. They must
/// not throw or longjmp, and may only call functions of class [CB]. Whatever they are given is valid only during the call, except
/// the inbox. Numbers of nodes are 0 and more. Those below -1073741824 are clients that came in, programs that hold no data; the other
/// negative ones are addresses of which a client does not know yet which node is there.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kafkalog_transport_vtable_t {
    /// sizeof(kafkalog_transport_vtable_t): later versions may append members.
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// Given to every function. Stays the host's; nobody uses it after `release`.
    pub ctx: *mut c_void,
    /// The first call: this engine is `node_id`, and what comes in for it goes to `inbox`, which the host ends with
    /// kafkalog_inbox_release(). A negative number says that the engine is a client, whose real number is the other side's choice.
    pub start:
        Option<unsafe extern "C" fn(ctx: *mut c_void, node_id: i32, inbox: *mut kafkalog_inbox_t) -> kafkalog_code_t>,
    /// Takes a frame for a node: the parts one behind the other, without a mark between them. Must not block for longer than a write
    /// into a socket's buffer. Frames may be lost and repeated; those of one connection must not overtake each other. Answers 0,
    /// _QUEUE_FULL (try again later), NETWORK_EXCEPTION (13, there is no connection), BROKER_NOT_AVAILABLE (8, no such node),
    /// MESSAGE_TOO_LARGE (10); any other number is reported as _TRANSPORT_HOST.
    pub send: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            to_node: i32,
            parts: *const kafkalog_bytes_t,
            part_count: usize,
        ) -> kafkalog_code_t,
    >,
    /// Names a node and its address, or moves it there; NULL removes it. Never by two threads at once. Answers 0 or _INVALID_ARG.
    pub set_peer:
        Option<unsafe extern "C" fn(ctx: *mut c_void, node_id: i32, address: *const c_char) -> kafkalog_code_t>,
    /// The end: no other function but `release` is called after it. A `send` that does not come back is waited for, for five
    /// seconds, before it.
    pub stop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    /// The last call, exactly once, when no other is running.
    pub release: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

const VTABLE_SIZE_FIRST: usize = size_of::<kafkalog_transport_vtable_t>();
#[cfg(target_pointer_width = "64")]
const _: () = assert!(VTABLE_SIZE_FIRST == 56);

type Start = unsafe extern "C" fn(*mut c_void, i32, *mut kafkalog_inbox_t) -> kafkalog_code_t;
type SendFrame = unsafe extern "C" fn(*mut c_void, i32, *const kafkalog_bytes_t, usize) -> kafkalog_code_t;
type SetPeer = unsafe extern "C" fn(*mut c_void, i32, *const c_char) -> kafkalog_code_t;
type End = unsafe extern "C" fn(*mut c_void);

/// The host's functions, all of them there. When the last one lets go of it, the host is told so.
pub(super) struct Host {
    ctx: *mut c_void,
    start: Start,
    send: SendFrame,
    set_peer: SetPeer,
    stop: End,
    release: End,
    /// Before that, everything is still the caller's.
    is_registered: AtomicBool,
    /// Its memory has to be there as long as the host may deliver: until `release` has come back.
    inbox: OnceLock<Arc<kafkalog_inbox_t>>,
    birth: Birth,
}

// SAFETY: the header asks of the host that its functions can be called from any thread with this pointer.
unsafe impl Send for Host {}
// SAFETY: as above, by several at once.
unsafe impl Sync for Host {}

impl Host {
    /// # Safety
    /// `table` is NULL or points to as many bytes as its first member says.
    pub(super) unsafe fn of(table: *const kafkalog_transport_vtable_t) -> Result<Arc<Host>> {
        if table.is_null() || !table.is_aligned() {
            return Err(null("vt"));
        }
        // SAFETY: neither NULL nor misaligned; the caller's promise covers the first member.
        let size = unsafe { (*table).struct_size } as usize;
        if size < VTABLE_SIZE_FIRST {
            let text = format!("struct_size is {size}; the first version of the struct has {VTABLE_SIZE_FIRST} bytes");
            return Err(Error::new(ErrorCode::ABI, text));
        }
        // SAFETY: it has at least the bytes of our struct.
        let table = unsafe { *table };
        if table.flags != 0 {
            return Err(invalid(format!("flags is {}; legal is 0", table.flags)));
        }
        Ok(Arc::new(Host {
            ctx: table.ctx,
            start: table.start.ok_or_else(|| null("start"))?,
            send: table.send.ok_or_else(|| null("send"))?,
            set_peer: table.set_peer.ok_or_else(|| null("set_peer"))?,
            stop: table.stop.ok_or_else(|| null("stop"))?,
            release: table.release.ok_or_else(|| null("release"))?,
            is_registered: AtomicBool::new(false),
            inbox: OnceLock::new(),
            birth: Birth::now(),
        }))
    }

    /// From now on the host is told when nobody needs it any more.
    pub(super) fn keep(&self) {
        self.is_registered.store(true, Ordering::Relaxed);
    }

    pub(super) fn start(&self, me: NodeId, inbox: &Arc<kafkalog_inbox_t>) -> Result<()> {
        let inbox = self.inbox.get_or_init(|| Arc::clone(inbox)).lend();
        let mut code = 0;
        // SAFETY: the header's conditions for a transport's functions; the inbox lives until the host releases it.
        in_callback(|| code = unsafe { (self.start)(self.ctx, number_of(me), inbox) });
        verdict(code, "start", &[])
    }

    pub(super) fn send(&self, to: NodeId, frame: &Frame) -> Result<()> {
        let parts: Vec<kafkalog_bytes_t> = frame.parts().iter().map(|part| kafkalog_bytes_t::of(Some(part))).collect();
        let mut code = 0;
        // SAFETY: as above; the parts live until it returns.
        in_callback(|| code = unsafe { (self.send)(self.ctx, number_of(to), parts.as_ptr(), parts.len()) });
        verdict(
            code,
            "send",
            &[
                ErrorCode::QUEUE_FULL,
                ErrorCode::NETWORK_EXCEPTION,
                ErrorCode::BROKER_NOT_AVAILABLE,
                ErrorCode::MESSAGE_TOO_LARGE,
            ],
        )
    }

    pub(super) fn set_peer(&self, peer: NodeId, address: Option<&str>) -> Result<()> {
        let address = address.map(c_string);
        let text = address.as_ref().map_or(std::ptr::null(), |address| address.as_ptr());
        let mut code = 0;
        // SAFETY: as above; the address lives until it returns.
        in_callback(|| code = unsafe { (self.set_peer)(self.ctx, number_of(peer), text) });
        verdict(code, "set_peer", &[ErrorCode::INVALID_ARG])
    }

    pub(super) fn stop(&self) {
        // SAFETY: as above.
        in_callback(|| unsafe { (self.stop)(self.ctx) });
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if *self.is_registered.get_mut() && self.birth.is_here() {
            // SAFETY: as above, and nobody is left who could call anything.
            in_callback(|| unsafe { (self.release)(self.ctx) });
        }
    }
}

/// What the host answered, as the engine understands it: what it may say is passed on, all else is the host's failure.
fn verdict(code: kafkalog_code_t, doing: &str, may_say: &[ErrorCode]) -> Result<()> {
    if code == ErrorCode::NONE.0 {
        return Ok(());
    }
    let said = ErrorCode(code);
    let text = format!("the host's transport answered {code} ({}) to {doing}", said.name());
    Err(Error::new(if may_say.contains(&said) { said } else { ErrorCode::TRANSPORT_HOST }, text))
}
