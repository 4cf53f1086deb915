//! A host that writes down what it is asked, and answers what it was told to.

use crate::ffi::transport::*;
use crate::ffi::{
    kafkalog_bytes_t, kafkalog_code_t, kafkalog_inbox_deliver, kafkalog_inbox_peer_state, kafkalog_inbox_release,
    kafkalog_transport_vtable_t,
};
use crate::Receive;
use bytes::Bytes;
use std::ffi::{c_char, c_void, CStr};
use std::mem::size_of;
use std::sync::mpsc;
use std::sync::OnceLock;

/// What `ctx` points to.
#[derive(Default)]
pub(super) struct Fake {
    calls: Mutex<Vec<String>>,
    pub(super) answer: Mutex<kafkalog_code_t>,
    inbox: Mutex<Option<usize>>,
    /// Where `send` delivers at once, as this node.
    pub(super) other: OnceLock<(i32, &'static Fake)>,
    /// `send` says that it is inside, and waits.
    pub(super) gate: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
}

impl Fake {
    pub(super) fn new() -> &'static Fake {
        Box::leak(Box::default())
    }

    fn says(&self, call: String) -> kafkalog_code_t {
        self.calls.lock().push(call);
        *self.answer.lock()
    }

    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock())
    }

    pub(super) fn inbox(&self) -> *mut kafkalog_inbox_t {
        self.inbox.lock().expect("it was started") as *mut kafkalog_inbox_t
    }

    pub(super) fn deliver(&self, from: i32, frame: &[u8]) -> ErrorCode {
        let frame = kafkalog_bytes_t { data: frame.as_ptr().cast(), len: frame.len() };
        // SAFETY: the tests release no inbox that they go on using before its transport is gone.
        ErrorCode(unsafe { kafkalog_inbox_deliver(self.inbox(), from, frame) })
    }

    pub(super) fn turn(&self, peer: i32, up: bool) {
        // SAFETY: as above.
        unsafe { kafkalog_inbox_peer_state(self.inbox(), peer, up.into()) };
    }

    pub(super) fn table(&'static self) -> kafkalog_transport_vtable_t {
        kafkalog_transport_vtable_t {
            struct_size: size_of::<kafkalog_transport_vtable_t>() as u32,
            flags: 0,
            ctx: std::ptr::from_ref(self).cast_mut().cast(),
            start: Some(start),
            send: Some(send),
            set_peer: Some(set_peer),
            stop: Some(stop),
            release: Some(release),
        }
    }

    pub(super) fn host(&'static self) -> Arc<Host> {
        // SAFETY: it is a table.
        unsafe { Host::of(&self.table()) }.unwrap()
    }
}

fn fake(ctx: *mut c_void) -> &'static Fake {
    // SAFETY: every table of these tests has a leaked one there.
    unsafe { &*ctx.cast::<Fake>() }
}

unsafe extern "C" fn start(ctx: *mut c_void, node: i32, inbox: *mut kafkalog_inbox_t) -> kafkalog_code_t {
    *fake(ctx).inbox.lock() = Some(inbox as usize);
    fake(ctx).says(format!("start {node}"))
}

unsafe extern "C" fn send(ctx: *mut c_void, to: i32, parts: *const kafkalog_bytes_t, count: usize) -> kafkalog_code_t {
    let own = fake(ctx);
    // SAFETY: the library's promise.
    let parts: Vec<&[u8]> = unsafe { std::slice::from_raw_parts(parts, count) }
        .iter()
        .map(|part| unsafe { std::slice::from_raw_parts(part.data.cast(), part.len) })
        .collect();
    if let Some((me, other)) = own.other.get() {
        return other.deliver(*me, &parts.concat()).0;
    }
    if let Some((inside, go)) = &*own.gate.lock() {
        inside.send(()).unwrap();
        go.recv().unwrap();
    }
    let parts: Vec<String> = parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    own.says(format!("send {to} {}", parts.join("|")))
}

unsafe extern "C" fn set_peer(ctx: *mut c_void, node: i32, address: *const c_char) -> kafkalog_code_t {
    // SAFETY: the library's promise.
    let address = (!address.is_null()).then(|| unsafe { CStr::from_ptr(address) }.to_str().unwrap());
    fake(ctx).says(format!("set_peer {node} {}", address.unwrap_or("-")))
}

unsafe extern "C" fn stop(ctx: *mut c_void) {
    fake(ctx).says("stop".into());
}

unsafe extern "C" fn release(ctx: *mut c_void) {
    fake(ctx).says("release".into());
}

/// Remembers what arrives.
#[derive(Default)]
pub(super) struct Heard(Mutex<Vec<String>>);

impl Heard {
    pub(super) fn all(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Receive for Heard {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        self.0.lock().push(format!("{from}: {}", String::from_utf8_lossy(&frame)));
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        self.0.lock().push(format!("{peer} is {}", if up { "up" } else { "down" }));
    }
}

/// A transport of node 1 with peer 2, over this host.
pub(super) fn going(host: &'static Fake) -> (HostTransport, Arc<Heard>) {
    let (transport, heard) = (HostTransport::new("mesh"), Arc::<Heard>::default());
    transport.register(host.host()).unwrap();
    transport.start(NodeId(1), Inbox::new(heard.clone())).unwrap();
    transport.set_peer(NodeId(2), Some("mesh://two")).unwrap();
    assert_eq!(host.calls(), ["start 1", "set_peer 2 mesh://two"]);
    (transport, heard)
}

pub(super) fn frame(parts: &[&'static str]) -> Frame {
    let mut frame = Frame::new();
    parts.iter().for_each(|part| frame.push(Bytes::from_static(part.as_bytes())));
    frame
}

pub(super) fn release_inbox(host: &Fake) {
    // SAFETY: once for each start.
    unsafe { kafkalog_inbox_release(host.inbox()) };
}
