//! What to do about a batch that failed: split it, try it again, or tell its senders.

use super::accumulator::Accumulator;
use super::outbound::{Parcels, Reign};
use super::parcel::Parcel;
use super::queue::PartitionQueue;
use super::shared::Shared;
use crate::error::{Error, ErrorCode};
use crate::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// What to do about a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Too large as a whole: its records may still fit one by one.
    Split,
    /// Worth another attempt, here or elsewhere.
    Retry,
    Fail,
}

/// `others` says that another node may lead the partition, now or later. On one node every failure is final for its batch, except one
/// that is too large for its topic.
pub(super) fn verdict(error: &Error, records: u32, others: bool) -> Verdict {
    match error.code() {
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE if records > 1 => Verdict::Split,
        // The disk of this leader is gone, the next one has its own.
        ErrorCode::KAFKA_STORAGE_ERROR if others => Verdict::Retry,
        _ if others && error.is_retriable() => Verdict::Retry,
        _ => Verdict::Fail,
    }
}

/// Whether a batch may be in the log though the leader's answer was this.
pub(super) fn is_doubtful(error: &Error) -> bool {
    let certain = [
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::FENCED_LEADER_EPOCH,
        ErrorCode::UNKNOWN_LEADER_EPOCH,
        ErrorCode::CORRUPT_MESSAGE,
        ErrorCode::QUEUE_FULL,
        ErrorCode::THROTTLING_QUOTA_EXCEEDED,
    ];
    (error.is_retriable() || error.code() == ErrorCode::KAFKA_STORAGE_ERROR) && !certain.contains(&error.code())
}

/// The pause after failure number `failures`, counted from 1: doubles each time, give or take 20 %, up to `max`. `salt` says how much.
pub(super) fn backoff(base: Duration, max: Duration, failures: u32, salt: u64) -> Duration {
    // Beyond 2^32 the longest pause is reached with every base that is not 0.
    let doubled = base.saturating_mul(1 << failures.saturating_sub(1).min(31)).min(max);
    let mut mixed = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    let percent = 80 + u32::try_from(mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32).unwrap_or(0) % 41;
    (doubled / 100).saturating_mul(percent).min(max)
}

/// An attempt that failed.
pub(super) struct Failure<'a> {
    pub error: &'a Error,
    pub is_doubtful: bool,
    /// False when nobody was there to be tried.
    pub is_attempt: bool,
    pub tried: Reign,
}

impl Shared {
    /// Puts parcels back in front of everything newer, for the next attempt. Answers those that are not tried again, each with the error
    /// that is the end of it.
    pub fn take_back(
        &self,
        queue: &PartitionQueue,
        accumulator: &mut Accumulator,
        parcels: Parcels,
        failure: &Failure<'_>,
    ) -> Vec<(Box<Parcel>, Error)> {
        let now = self.clock.monotonic();
        let mut lost = Vec::new();
        let mut first = None;
        for mut parcel in parcels {
            parcel.trail.error = Some(failure.error.clone());
            parcel.trail.attempts += u32::from(failure.is_attempt);
            parcel.trail.is_doubtful |= failure.is_doubtful;
            if let Some(end) = self.is_at_its_end(queue, &parcel, failure.error, now) {
                lost.push((parcel, end));
                continue;
            }
            first.get_or_insert(parcel.sequence);
            if let Some(completion) = parcel.completion() {
                completion.mark_pending();
            }
            accumulator.take_back(parcel);
        }
        let failures = accumulator.outbound.count_failure(failure.error);
        if let Some(first) = first {
            let salt = now.0 ^ first.rotate_left(32) ^ u64::from(queue.partition);
            let pause = backoff(self.config.retry_backoff, self.config.retry_backoff_max, failures, salt);
            accumulator.outbound.handle_failure(now + pause, failure.tried);
        }
        lost
    }

    fn is_at_its_end(&self, queue: &PartitionQueue, parcel: &Parcel, error: &Error, now: Instant) -> Option<Error> {
        if now >= parcel.expires_at() {
            return Some(self.timed_out(queue, parcel));
        }
        let is_final = verdict(error, 1, true) == Verdict::Fail;
        if !is_final && parcel.trail.attempts <= self.config.retries {
            return None;
        }
        Some(self.final_error(queue, parcel, error))
    }

    /// What the senders of a parcel are told that is not tried again.
    pub fn final_error(&self, queue: &PartitionQueue, parcel: &Parcel, error: &Error) -> Error {
        let (topic, partition, attempts) = (&queue.topic, queue.partition, parcel.trail.attempts);
        if attempts <= 1 && !parcel.trail.is_doubtful {
            return error.clone().within(format_args!("{topic}-{partition}"));
        }
        let (retries, whereabouts) = (self.config.retries, parcel.trail.whereabouts());
        let text = format!(
            "{topic}-{partition}: {}; given up after {attempts} attempts (retries={retries}); {whereabouts}",
            error.message()
        );
        Error::new(error.code(), text)
    }

    /// The error of a parcel that was not delivered within `delivery.timeout.ms`.
    pub fn timed_out(&self, queue: &PartitionQueue, parcel: &Parcel) -> Error {
        let (topic, partition, trail) = (&queue.topic, queue.partition, &parcel.trail);
        let mut text = format!(
            "{topic}-{partition}: not acknowledged within delivery.timeout.ms={}; {} attempts failed",
            self.config.delivery_timeout.as_millis(),
            trail.attempts
        );
        if let Some(error) = &trail.error {
            text += &format!(", the last error was {error}");
        }
        Error::new(ErrorCode::TIMED_OUT, format!("{text}; {}", trail.whereabouts()))
    }

    /// Everything that was appended here under a leadership that is over goes back, in front of everything newer.
    pub fn lose_unfinished(&self, queue: &Arc<PartitionQueue>, error: &Error) {
        let lost = {
            let mut accumulator = queue.accumulator.lock();
            // In one go: whoever appends next must not overtake them.
            let Some((parcels, leader_epoch)) = accumulator.unfinished.poll_lost() else {
                drop(accumulator);
                self.fail_all_unfinished(queue, error);
                return;
            };
            let tried = Reign { seat: super::Seat::Here, leader_epoch };
            let failure = Failure { error, is_doubtful: true, is_attempt: true, tried };
            self.take_back(queue, &mut accumulator, parcels, &failure)
        };
        self.tell_lost(queue, lost);
        self.look_after(queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_batch_of_several_records_that_is_too_large_is_split() {
        let too_large = Error::new(ErrorCode::MESSAGE_TOO_LARGE, "");
        assert_eq!(verdict(&too_large, 2, false), Verdict::Split);
        assert_eq!(verdict(&too_large, 1, true), Verdict::Fail);
    }

    #[test]
    fn where_others_may_lead_what_may_pass_is_tried_again() {
        for code in [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::REQUEST_TIMED_OUT] {
            let error = Error::new(code, "");
            assert_eq!(
                (verdict(&error, 9, true), verdict(&error, 9, false)),
                (Verdict::Retry, Verdict::Fail),
                "{error}"
            );
        }
        let failed_disk = Error::fatal(ErrorCode::KAFKA_STORAGE_ERROR, "");
        assert_eq!(verdict(&failed_disk, 9, false), Verdict::Fail);
        assert_eq!(verdict(&failed_disk, 9, true), Verdict::Retry);
        assert_eq!(verdict(&Error::new(ErrorCode::INVALID_RECORD, ""), 9, true), Verdict::Fail);
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit_and_is_never_the_same_for_all() {
        let pause =
            |failures, salt| backoff(Duration::from_millis(100), Duration::from_secs(1), failures, salt).as_millis();
        for salt in 0..1000 {
            assert!((80..=120).contains(&pause(1, salt)), "{}", pause(1, salt));
            assert!((320..=480).contains(&pause(3, salt)), "{}", pause(3, salt));
            assert!((800..=1000).contains(&pause(u32::MAX, salt)), "{}", pause(u32::MAX, salt));
        }
        let some: std::collections::BTreeSet<u128> = (0..100).map(|salt| pause(1, salt)).collect();
        assert!(some.len() > 20, "{some:?}");
        assert_eq!(backoff(Duration::ZERO, Duration::from_secs(1), 9, 1), Duration::ZERO);
    }
}
