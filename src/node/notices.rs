//! What the node has to tell people. It prints nothing: whoever runs the node collects the notices and passes them on.

use crate::time::{Clock, Instant};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How much a notice matters; the numbers are syslog's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum LogLevel {
    Error = 3,
    Warn = 4,
    Info = 6,
    Debug = 7,
}

pub(super) use LogLevel as Level;

/// One line for the log sink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    pub level: LogLevel,
    /// Which part of the engine speaks.
    pub facility: &'static str,
    pub text: String,
}

/// Notices that nobody fetched are bounded; the oldest go first.
const WAITING_MAX: usize = 256;
/// The same text again within this time is only counted.
const REPEAT_AFTER: Duration = Duration::from_secs(10);
/// How many different texts are remembered for that.
const REMEMBERED_MAX: usize = 32;

/// Wakes whoever runs the node.
pub trait Alarm: Send + Sync {
    /// Sees to it that the node's `tick` runs not later than `when`.
    fn wake_by(&self, when: Instant);
}

pub(super) struct Notices {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Notice>,
    told: VecDeque<Told>,
}

struct Told {
    text: String,
    at: Instant,
    suppressed: u64,
}

impl Notices {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Notices {
        Notices { clock, state: Mutex::default() }
    }

    /// True when there is something to fetch now, false when it was a repetition.
    pub(super) fn push(&self, level: LogLevel, facility: &'static str, text: String) -> bool {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let mut repeated = 0;
        if let Some(at) = state.told.iter().position(|told| told.text == text) {
            if now.since(state.told[at].at) < REPEAT_AFTER {
                state.told[at].suppressed += 1;
                return false;
            }
            repeated = state.told.remove(at).map_or(0, |told| told.suppressed);
        }
        if state.told.len() == REMEMBERED_MAX {
            state.told.pop_front();
        }
        state.told.push_back(Told { text: text.clone(), at: now, suppressed: 0 });
        if state.waiting.len() == WAITING_MAX {
            state.waiting.pop_front();
        }
        let text = if repeated == 0 { text } else { format!("{text} (and {repeated} times more before)") };
        state.waiting.push_back(Notice { level, facility, text });
        true
    }

    pub(super) fn poll(&self) -> Option<Notice> {
        self.state.lock().waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Timestamp;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    struct Hand(AtomicU64);
    impl Clock for Hand {
        fn monotonic(&self) -> Instant {
            Instant(self.0.load(Ordering::Relaxed))
        }
        fn realtime(&self) -> Timestamp {
            Timestamp(0)
        }
    }

    #[test]
    fn a_repeated_notice_is_told_once_and_then_counted() {
        let clock = Arc::new(Hand::default());
        let notices = Notices::new(clock.clone());
        for i in 0..5 {
            assert_eq!(notices.push(Level::Warn, "node", "disk is slow".into()), i == 0);
        }
        assert_eq!(notices.poll().map(|n| n.text).as_deref(), Some("disk is slow"));
        assert_eq!(notices.poll(), None);
        clock.0.store(11_000_000_000, Ordering::Relaxed);
        assert!(notices.push(Level::Warn, "node", "disk is slow".into()));
        assert_eq!(notices.poll().map(|n| n.text).as_deref(), Some("disk is slow (and 4 times more before)"));
    }

    #[test]
    fn unfetched_notices_are_bounded() {
        let notices = Notices::new(Arc::new(Hand::default()));
        for i in 0..1000 {
            notices.push(Level::Info, "node", format!("{i}"));
        }
        let first = notices.poll().expect("there are some");
        assert_eq!(first.text, (1000 - WAITING_MAX).to_string());
    }
}
