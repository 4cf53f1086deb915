//! The producer over an engine made of vectors.

mod accumulator;
mod failing;
mod leaders;
mod moving;
mod sending;
mod telling;

use super::fake::{FakeHost, ToldClock};
use super::{Delivery, RecordMetadata};
use crate::error::{ErrorCode, Result};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
/// Batches that only fill or are driven.
const LINGER: (&str, &str) = ("linger.ms", "60000");
const NO_LINGER: (&str, &str) = ("linger.ms", "0");

fn code(result: Result<RecordMetadata>) -> ErrorCode {
    result.unwrap_err().code()
}
