//! What `send` and its neighbours answer, in one place for all transports.

use super::{BOOTSTRAP_ID_MIN, CLIENT_ID_MIN};
use crate::error::{Error, ErrorCode};
use crate::types::NodeId;
use std::fmt::Display;

/// Whether whoever has the number `me` (`None`: not yet known) may not have a peer of this number.
pub(super) fn is_no_peer(peer: NodeId, me: Option<NodeId>) -> bool {
    if peer >= BOOTSTRAP_ID_MIN {
        me.is_some_and(|me| me < CLIENT_ID_MIN)
    } else {
        peer >= CLIENT_ID_MIN || me == Some(peer)
    }
}

pub(super) fn unknown_peer(peer: NodeId) -> Error {
    Error::new(ErrorCode::BROKER_NOT_AVAILABLE, format!("no node or client {peer} is known here"))
}

pub(super) fn not_connected(peer: NodeId, reason: Option<&str>) -> Error {
    let reason = reason.unwrap_or("not yet tried");
    Error::new(ErrorCode::NETWORK_EXCEPTION, format!("no connection with {peer}: {reason}"))
}

pub(super) fn queue_full(frames: usize, bytes: usize) -> Error {
    let text = format!("{frames} frames with {bytes} bytes wait for this peer already; try again later");
    Error::new(ErrorCode::QUEUE_FULL, text)
}

pub(super) fn stopped() -> Error {
    Error::new(ErrorCode::DESTROY, "the transport is stopped")
}

pub(super) fn started_before() -> Error {
    Error::new(ErrorCode::STATE, "a transport is started once")
}

pub(super) fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorCode::INVALID_ARG, text)
}

pub(super) fn host(doing: &str, error: impl Display) -> Error {
    Error::new(ErrorCode::TRANSPORT_HOST, format!("{doing}: {error}"))
}
