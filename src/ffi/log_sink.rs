//! Where the engine's log lines go: to the host's function, to the main queue, or nowhere.

use super::deliveries::work_off;
use super::error::{c_string, kafkalog_error_t};
use super::event::Content;
use super::guard::in_callback;
use super::queue::Queue;
use crate::{Error, ErrorCode, LogLevel, LogSink};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

type LogFn = unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char, usize);

/// The host's function and what it wants to be given.
#[derive(Clone, Copy)]
pub(super) struct HostLog {
    func: LogFn,
    opaque: *mut c_void,
}

// SAFETY: the header asks of the host that its function can be called from any thread, by several at once, with this pointer.
unsafe impl Send for HostLog {}
// SAFETY: as above.
unsafe impl Sync for HostLog {}

impl HostLog {
    pub(super) fn new(func: LogFn, opaque: *mut c_void) -> HostLog {
        HostLog { func, opaque }
    }

    fn call(&self, level: i32, facility: &str, line: &str) {
        let facility = c_string(facility);
        // SAFETY: the header's conditions for a log function; the strings live until it returns.
        in_callback(|| unsafe {
            (self.func)(self.opaque, level, facility.as_ptr(), line.as_ptr().cast(), line.len());
        });
        work_off();
    }
}

/// The sink that an engine opened through the C door is given.
pub(super) struct Lines {
    pub(super) host: Option<HostLog>,
    /// The main queue: errors go there as events of their own, whatever the settings are.
    pub(super) queue: Arc<Queue>,
    /// `log.queue`: every line goes there.
    pub(super) wants_events: bool,
}

impl LogSink for Lines {
    fn log(&self, level: LogLevel, facility: &str, text: &str) {
        if level == LogLevel::Error {
            let error = kafkalog_error_t::from(&failure(facility, text));
            self.queue.announce(Content::Error { error, partitions: None });
        }
        // The numbers of a level are syslog's.
        let level = level as i32;
        if self.wants_events {
            self.queue.announce(Content::Log(format!("{level} {facility}: {text}")));
        }
        if let Some(host) = &self.host {
            host.call(level, facility, text);
        }
    }
}

/// The part of the engine that reports bugs which were caught, on its own threads or at this door.
pub(super) const FACILITY_OF_BUGS: &str = "engine";

/// What the engine calls an error, as the event says it. What is no bug is something that the node could not write or read.
fn failure(facility: &str, text: &str) -> Error {
    match facility {
        FACILITY_OF_BUGS => Error::fatal(ErrorCode::PANIC, text),
        _ => Error::new(ErrorCode::KAFKA_STORAGE_ERROR, text),
    }
}
