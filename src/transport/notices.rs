//! Sentences for the host's log, until somebody fetches them.

use parking_lot::Mutex;
use std::collections::VecDeque;

/// How many are kept; the oldest go first.
const NOTICES_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Notices(Mutex<VecDeque<String>>);

impl Notices {
    /// What waits to be fetched is not said twice: a stranger who knocks every second fills no log.
    pub fn push(&self, text: String) {
        let mut notices = self.0.lock();
        if notices.contains(&text) {
            return;
        }
        if notices.len() == NOTICES_MAX {
            notices.pop_front();
        }
        notices.push_back(text);
    }

    pub fn poll(&self) -> Option<String> {
        self.0.lock().pop_front()
    }
}
