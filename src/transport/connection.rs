//! One connection after its handshake, from the first frame to the last.

use super::frame_reader::FrameReader;
use super::handshake::Agreed;
use super::line::Line;
use super::outlet::Outlet;
use super::{errors, Frame, Inbox, SocketSettings};
use crate::error::Result;
use parking_lot::{Condvar, Mutex};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

pub(super) struct Connection {
    pub agreed: Agreed,
    pub line: Arc<Line>,
    pub outlet: Outlet,
    account: Arc<Account>,
    is_closed: AtomicBool,
    reason: Mutex<Option<String>>,
    /// Opens when the last call of the receiver has come back.
    pub gone: Arc<Latch>,
}

/// What one peer got and gave, over all its connections.
#[derive(Default)]
pub(super) struct Account {
    pub frames_sent: AtomicU64,
    pub bytes_sent: AtomicU64,
    pub frames_received: AtomicU64,
    pub bytes_received: AtomicU64,
}

impl Connection {
    pub fn new(agreed: Agreed, line: Arc<Line>, settings: &SocketSettings, account: Arc<Account>) -> Connection {
        let outlet = Outlet::new(settings.queue_frames_max, settings.queue_bytes_max);
        Connection {
            agreed,
            line,
            outlet,
            account,
            is_closed: AtomicBool::new(false),
            reason: Mutex::default(),
            gone: Arc::default(),
        }
    }

    pub fn send(&self, frame: Frame) -> Result<()> {
        frame.check(self.agreed.frame_bytes_max)?;
        let bytes = frame.bytes() as u64;
        if let Err(error) = self.outlet.send(&self.line, frame)? {
            self.close(&format!("writing: {error}"));
            return Err(errors::not_connected(self.agreed.peer, self.reason().as_deref()));
        }
        self.account.frames_sent.fetch_add(1, Ordering::Relaxed);
        self.account.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The writer thread's work.
    pub fn write_frames(&self) {
        if let Err(error) = self.outlet.run_writer(&self.line) {
            self.close(&format!("writing: {error}"));
        }
    }

    /// The reader thread's work: delivers until the connection ends. Afterwards the connection is closed.
    pub fn read_frames(&self, inbox: &Inbox) {
        let read = catch_unwind(AssertUnwindSafe(|| self.deliver_all(inbox)));
        self.close(read.as_deref().unwrap_or("the receiver panicked"));
    }

    fn deliver_all(&self, inbox: &Inbox) -> String {
        let mut frames = FrameReader::new(&*self.line, self.agreed.frame_bytes_max);
        loop {
            match frames.next_frame() {
                // What was read and not yet delivered when the connection was closed is lost.
                Ok(_) if self.is_closed.load(Ordering::Acquire) => return String::new(),
                Ok(Some(frame)) => {
                    self.account.frames_received.fetch_add(1, Ordering::Relaxed);
                    self.account.bytes_received.fetch_add(frame.len() as u64, Ordering::Relaxed);
                    inbox.deliver(self.agreed.peer, frame);
                }
                Ok(None) => return "the other side closed the connection".to_owned(),
                Err(fault) => return fault.to_string(),
            }
        }
    }

    /// Ends the connection; the first reason is the one that is remembered.
    pub fn close(&self, reason: &str) {
        self.reason.lock().get_or_insert_with(|| reason.to_owned());
        self.is_closed.store(true, Ordering::Release);
        self.outlet.close();
        self.line.cut();
    }

    /// Why it was closed; `None` while it is open.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().clone()
    }
}

/// Shut at first, open for ever after.
#[derive(Default)]
pub(super) struct Latch {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Latch {
    pub fn open(&self) {
        *self.is_open.lock() = true;
        self.opened.notify_all();
    }

    pub fn wait(&self) {
        let mut is_open = self.is_open.lock();
        while !*is_open {
            self.opened.wait(&mut is_open);
        }
    }
}
