//! What is to be tried again: at its time, or as soon as something new is known of the cluster.

use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use std::collections::BTreeMap;
use std::fmt;

/// So many things may wait to be tried again.
pub(super) const LATER_MAX: usize = 16 * 1024;

/// Called once: when its time has come, or with the reason why it never will.
pub(super) type Job = Box<dyn FnOnce(Result<()>) + Send>;

/// By time, then in the order in which they came.
#[derive(Default)]
pub(super) struct Later {
    jobs: BTreeMap<(Instant, u64), Job>,
    last: u64,
    closed: Option<Error>,
}

impl Later {
    /// Keeps the job, or gives it back with the reason.
    pub fn add(&mut self, when: Instant, job: Job) -> std::result::Result<(), (Error, Job)> {
        if let Some(error) = &self.closed {
            return Err((error.clone(), job));
        }
        if self.jobs.len() >= LATER_MAX {
            let text = format!("{LATER_MAX} requests wait to be tried again already; try again later");
            return Err((Error::new(ErrorCode::QUEUE_FULL, text), job));
        }
        self.last += 1;
        self.jobs.insert((when, self.last), job);
        Ok(())
    }

    pub fn take_due(&mut self, now: Instant) -> Vec<Job> {
        let not_yet = self.jobs.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.jobs, not_yet).into_values().collect()
    }

    pub fn take_all(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs).into_values().collect()
    }

    pub fn close(&mut self, error: &Error) -> Vec<Job> {
        self.closed.get_or_insert_with(|| error.clone());
        self.take_all()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.jobs.first_key_value().map(|((when, _), _)| *when)
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").field("jobs", &self.jobs.len()).finish_non_exhaustive()
    }
}
