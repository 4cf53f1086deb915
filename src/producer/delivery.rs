//! `Delivery`: one slot, three doors: wait for it, poll it as a future, or forget it.

use super::RecordMetadata;
use crate::error::Result;
use crate::types::Rung;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// What will become of one sent record. Dropping it cancels nothing.
#[must_use = "nothing tells of a failure but the delivery; drop it on purpose for fire and forget"]
pub struct Delivery {}

impl Delivery {
    /// Waits for the acknowledgement, at most until `delivery.timeout.ms` has passed since the send. The thread that
    /// waits does the work that is left: closes the batch when its linger has passed, appends it, leads the group commit.
    ///
    /// # Errors
    /// Why the record was not acknowledged; the message says whether it may be in the log all the same.
    pub fn wait(self) -> Result<RecordMetadata> {
        todo!()
    }

    /// As [`wait`](Delivery::wait), `None` when `timeout` passed first.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<RecordMetadata>> {
        let _ = timeout;
        todo!()
    }

    /// Waits until the record has climbed to `rung`, which may be higher than what `acks` asks for.
    ///
    /// # Errors
    /// As [`wait`](Delivery::wait).
    pub fn wait_for(self, rung: Rung) -> Result<RecordMetadata> {
        let _ = rung;
        todo!()
    }

    /// Whether the outcome is known. Never waits.
    #[must_use]
    pub fn is_done(&self) -> bool {
        todo!()
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let _ = context;
        todo!()
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}
