//! The C door: `include/kafkalog.h`, one file per noun.
//!
//! Every function has the same body plan: the frame ([`guard`]: no panic, no forked handle, no NULL gets through), the caller's pointers
//! ([`pointers`]), one call of the public Rust API, the translation of what it answers. The page of conventions at the top of the
//! header is part of this contract; it is written in `tests/header.rs`.
//!
//! The types have their C names, because they are the same types.
#![allow(non_camel_case_types)]
// What a caller has to promise about pointers is said once, at the top of the header.
#![allow(clippy::missing_safety_doc)]
// Handles are opaque on purpose, also to a debug print.
#![allow(missing_debug_implementations)]

mod accounts;
mod admin;
mod batch;
mod buf;
mod cluster;
mod codes;
mod conf;
mod consumer;
mod deliveries;
mod engine;
mod error;
mod event;
mod guard;
mod host;
mod hubs;
mod inbox;
#[cfg(feature = "ffi-panic-injection")]
mod injection;
mod log;
mod log_sink;
mod pointers;
mod positions;
mod producer;
mod queue;
mod records;
mod tplist;
mod transport;

pub use admin::*;
pub use batch::*;
pub use buf::*;
pub use cluster::*;
pub use codes::*;
pub use conf::*;
pub use consumer::*;
pub use engine::*;
pub use error::*;
pub use event::*;
pub use host::*;
pub use inbox::*;
pub use log::*;
pub use pointers::*;
pub use positions::*;
pub use producer::*;
pub use queue::*;
pub use records::*;
pub use tplist::*;

/// What every fallible function answers: 0 is success; the KAFKALOG_ERR_ constants name the others. Numbers from -1 upwards are the
/// Kafka protocol's.
pub type kafkalog_code_t = i32;
