mod golden;
mod limits;
mod malformed;
mod round_trip;
mod seeds;
mod some;
mod some_client;
mod some_controller;

use super::*;
use crate::error::Result;
use bytes::Bytes;

/// The message as one piece, as a receiver gets it.
fn bytes_of(message: &Message) -> Bytes {
    encode(message).unwrap().into_joined()
}

/// Errors have no equality; what they show of themselves has.
fn shown(message: &Result<Message>) -> String {
    format!("{message:?}")
}
