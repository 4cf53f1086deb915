//! `kafkalog_event_t`: what a queue hands out.

use super::error::{end, kafkalog_error_t};
use super::guard::Birth;
use super::kafkalog_code_t;
use super::pointers::{kafkalog_bytes_t, Signed};
use super::records::kafkalog_delivery_t;
use super::tplist::{kafkalog_tplist_t, Entry};
use crate::ClusterEvent;

/// An event of records that were acknowledged or failed: kafkalog_event_deliveries().
pub const KAFKALOG_EVENT_DELIVERY: i32 = 1;
/// An event of something that went wrong and belongs to no call: kafkalog_event_error().
pub const KAFKALOG_EVENT_ERROR: i32 = 2;
/// An event of one log line (with `log.queue=true`): kafkalog_event_text().
pub const KAFKALOG_EVENT_LOG: i32 = 3;

/// An event of the statistics (with `statistics.interval.ms`), as kafkalog_engine_stats() has them: kafkalog_event_text().
pub const KAFKALOG_EVENT_STATS: i32 = 4;

/// An event of a partition that has a replica here and is led by another node, or by nobody: kafkalog_event_partitions() has the
/// partition, with its leader's epoch as offset; kafkalog_event_text() says more.
pub const KAFKALOG_EVENT_LEADER: i32 = 7;
/// An event of a partition that is led here and has other in-sync replicas: as KAFKALOG_EVENT_LEADER.
pub const KAFKALOG_EVENT_ISR: i32 = 8;

/// One event, owned by whoever polled it. Immutable, so any thread may look at it.
pub struct kafkalog_event_t {
    pub(super) content: Content,
    birth: Birth,
}

pub(super) enum Content {
    Deliveries(Vec<kafkalog_delivery_t>),
    Error { error: kafkalog_error_t, partitions: Option<kafkalog_tplist_t> },
    Log(String),
    Stats(String),
    Cluster(ClusterNews),
}

/// Something that happened to a partition, ready to be looked at.
pub(super) struct ClusterNews {
    kind: i32,
    partitions: kafkalog_tplist_t,
    text: String,
}

impl From<ClusterEvent> for ClusterNews {
    fn from(event: ClusterEvent) -> ClusterNews {
        let (kind, id, epoch) = match &event {
            ClusterEvent::LeaderChanged { partition, leader_epoch, .. } => {
                (KAFKALOG_EVENT_LEADER, partition, leader_epoch)
            }
            ClusterEvent::IsrChanged { partition, leader_epoch, .. } => (KAFKALOG_EVENT_ISR, partition, leader_epoch),
        };
        let entry = Entry::new(&id.topic, id.partition.signed(), epoch.0.into());
        ClusterNews { kind, partitions: kafkalog_tplist_t::new(vec![entry]), text: event.to_json() }
    }
}

impl kafkalog_event_t {
    pub(super) fn new(content: Content) -> Box<kafkalog_event_t> {
        Box::new(kafkalog_event_t { content, birth: Birth::now() })
    }
}

/// KAFKALOG_EVENT_DELIVERY, _ERROR, _LOG, _STATS, _LEADER or _ISR; 0 for NULL. A later version may know more: skip what you do not know.
///
/// The event stays the caller's. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_event_type(ev: *const kafkalog_event_t) -> i32 {
    // SAFETY: NULL or alive, says the header.
    match unsafe { ev.as_ref() }.map(|event| &event.content) {
        None => 0,
        Some(Content::Deliveries(_)) => KAFKALOG_EVENT_DELIVERY,
        Some(Content::Error { .. }) => KAFKALOG_EVENT_ERROR,
        Some(Content::Log(_)) => KAFKALOG_EVENT_LOG,
        Some(Content::Stats(_)) => KAFKALOG_EVENT_STATS,
        Some(Content::Cluster(news)) => news.kind,
    }
}

/// The code of an ERROR event; 0 for every other event and for NULL.
///
/// The event stays the caller's. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_event_code(ev: *const kafkalog_event_t) -> kafkalog_code_t {
    // SAFETY: NULL or alive, says the header; the error inside lives as long.
    unsafe { super::error::kafkalog_error_code(kafkalog_event_error(ev)) }
}

/// The error of an ERROR event; NULL for every other event and for NULL.
///
/// It belongs to the event and ends with it: do not destroy it. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_event_error(ev: *const kafkalog_event_t) -> *const kafkalog_error_t {
    // SAFETY: NULL or alive, says the header.
    match unsafe { ev.as_ref() }.map(|event| &event.content) {
        Some(Content::Error { error, .. }) => error,
        _ => std::ptr::null(),
    }
}

/// The reports of a DELIVERY event as one array of `*count`; NULL and 0 for every other event and for NULL.
///
/// It belongs to the event and ends with it. NULL for `count` answers NULL. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_event_deliveries(
    ev: *const kafkalog_event_t,
    count: *mut usize,
) -> *const kafkalog_delivery_t {
    // SAFETY: NULL or writable, says the header.
    let Some(count) = (unsafe { count.as_mut() }) else { return std::ptr::null() };
    *count = 0;
    // SAFETY: NULL or alive, says the header.
    match unsafe { ev.as_ref() }.map(|event| &event.content) {
        Some(Content::Deliveries(deliveries)) => {
            *count = deliveries.len();
            deliveries.as_ptr()
        }
        _ => std::ptr::null(),
    }
}

/// The partitions that an ERROR event is about, with their offsets, or a LEADER or ISR event, with their epochs as offsets; NULL when it is about none, for other events and for NULL.
///
/// It belongs to the event and ends with it. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_event_partitions(ev: *const kafkalog_event_t) -> *const kafkalog_tplist_t {
    // SAFETY: NULL or alive, says the header.
    match unsafe { ev.as_ref() }.map(|event| &event.content) {
        Some(Content::Error { partitions: Some(list), .. }) => list,
        Some(Content::Cluster(news)) => &news.partitions,
        _ => std::ptr::null(),
    }
}

/// The line of a LOG event or the JSON of a STATS event, without a NUL at its end; (NULL, 0) for every other event and for NULL.
/// LEADER and ISR events have JSON too; fields are only ever added:
///
/// {"event": "leader_changed", "topic": "orders", "partition": 0, "leader": 2, "leader_epoch": 5} (leader null: none)
///
/// {"event": "isr_changed", "topic": "orders", "partition": 0, "leader_epoch": 5, "isr": [2, 3]}
///
/// It belongs to the event and ends with it. [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_event_text(ev: *const kafkalog_event_t) -> kafkalog_bytes_t {
    // SAFETY: NULL or alive, says the header.
    match unsafe { ev.as_ref() }.map(|event| &event.content) {
        Some(Content::Log(line) | Content::Stats(line)) => kafkalog_bytes_t::of(Some(line.as_bytes())),
        Some(Content::Cluster(news)) => kafkalog_bytes_t::of(Some(news.text.as_bytes())),
        _ => kafkalog_bytes_t::NULL,
    }
}

/// Ends an event and everything that was looked up in it; NULL is fine.
///
/// [MT][CB], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_event_destroy(ev: *mut kafkalog_event_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe { end(ev, |event| event.birth) };
}
