//! What is on its way, and what becomes of it when it arrives.

use super::weather::drawn;
use super::{Arrival, State};
use crate::error::{Error, ErrorCode, Result};
use crate::record::crc32c;
use crate::time::Instant;
use crate::types::NodeId;
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// What may be on its way from one node to another; beyond, `send` answers QUEUE_FULL.
pub const FRAMES_MAX: usize = 4_096;
pub const BYTES_MAX: usize = 32 << 20;

/// So much of a message is shown to whoever looks on.
const REMARK_CHARS_MAX: usize = 600;

/// Types of messages by number (`wire/mod.rs`), for readers of the trace.
const KINDS: [&str; 9] = [
    "Failed",
    "ReplicaFetch",
    "Controller",
    "Produce",
    "ConsumerFetch",
    "ListOffsets",
    "DeleteRecords",
    "Metadata",
    "Raft",
];

#[derive(Clone)]
pub(super) struct Flight {
    pub from: NodeId,
    pub to: NodeId,
    /// Whom it is meant for: the node as it lived when this was sent.
    pub to_life: u64,
    pub connection: u64,
    pub parcel: Parcel,
}

#[derive(Clone)]
pub(super) enum Parcel {
    Frame(Bytes),
    Up,
    Down,
}

/// A frame in a few words.
struct Look<'a>(&'a Bytes);

impl fmt::Display for Look<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0.get(2).and_then(|kind| KINDS.get(usize::from(*kind))).unwrap_or(&"frame");
        let sign = match self.0.get(3) {
            Some(1) => ".",
            _ if *kind == "Raft" => "",
            _ => "?",
        };
        write!(f, "{kind}{sign} {} bytes {:08x}", self.0.len(), crc32c(self.0))
    }
}

impl State {
    pub(super) fn fly_at(&mut self, at: Instant, flight: Flight) {
        self.serial += 1;
        self.flights.insert((at, self.serial), flight);
    }

    /// Takes a frame, and decides what becomes of it.
    pub(super) fn send(&mut self, from: NodeId, to: NodeId, frame: Bytes) -> Result<()> {
        if !self.ports.get(&from).is_some_and(|port| port.peers.contains(&to)) {
            return Err(Error::new(ErrorCode::BROKER_NOT_AVAILABLE, format!("no node {to} is known here")));
        }
        let link = self.links.entry((from, to)).or_default();
        if !link.is_up {
            return Err(Error::new(ErrorCode::NETWORK_EXCEPTION, format!("no connection with {to}")));
        }
        if link.frames >= FRAMES_MAX || link.bytes + frame.len() > BYTES_MAX {
            let text = format!("{} frames with {} bytes are on their way to {to}", link.frames, link.bytes);
            return Err(Error::new(ErrorCode::QUEUE_FULL, text));
        }
        link.account.frames_sent += 1;
        link.account.bytes_sent += frame.len() as u64;
        let connection = link.connection;
        let copies = 1 + u32::from(self.strikes(self.weather.repetition)) - u32::from(self.strikes(self.weather.loss));
        let now = self.now;
        if copies == 0 {
            self.trace.note(now, format_args!("{from}>{to} {} lost", Look(&frame)));
        }
        for copy in 0..copies {
            // A second one may come when nobody thinks of the first any more.
            let is_late = copy > 0 && self.rng.bool();
            let at = self.arrival(from, to, is_late);
            self.trace.note(now, format_args!("{from}>{to} {} +{}us", Look(&frame), at.since(now).as_micros()));
            let to_life = self.ports.get(&to).map_or(0, |port| port.life);
            let link = self.links.get_mut(&(from, to)).expect("looked up above");
            link.frames += 1;
            link.bytes += frame.len();
            let parcel = Parcel::Frame(frame.clone());
            self.fly_at(at, Flight { from, to, to_life, connection, parcel });
        }
        Ok(())
    }

    fn arrival(&mut self, from: NodeId, to: NodeId, is_late: bool) -> Instant {
        let straggles = self.strikes(self.weather.straggling) || is_late;
        let range = if straggles { Duration::ZERO..self.weather.straggler_delay } else { self.weather.delay.clone() };
        let at = self.now + drawn(&range, &mut self.rng);
        let link = self.links.get_mut(&(from, to)).expect("the sender has looked it up");
        if straggles || self.weather.reorders {
            return at;
        }
        link.last_arrival = link.last_arrival.max(at);
        link.last_arrival
    }

    fn strikes(&mut self, in_a_thousand: u32) -> bool {
        in_a_thousand > 0 && self.rng.u32(..1_000) < in_a_thousand
    }

    pub(super) fn arrive(&mut self, flight: Flight) -> Option<Arrival> {
        let Flight { from, to, to_life, connection, parcel } = flight;
        let now = self.now;
        if let Parcel::Frame(frame) = &parcel {
            if let Some(link) = self.links.get_mut(&(from, to)) {
                link.frames = link.frames.saturating_sub(1);
                link.bytes = link.bytes.saturating_sub(frame.len());
            }
        }
        let port = self.ports.get(&to).filter(|port| port.life == to_life)?;
        let inbox = port.inbox.clone()?;
        let is_cut = self.cuts.contains(&(from, to));
        let outlives = self.weather.outlives;
        let link = self.links.entry((to, from)).or_default();
        let mut states = Vec::new();
        let frame = match parcel {
            Parcel::Up if link.current == Some(connection) && link.connection < connection => {
                link.begin(connection, &mut states);
                None
            }
            Parcel::Down if link.is_up && link.connection == connection => {
                link.is_up = false;
                states.push(false);
                None
            }
            Parcel::Up | Parcel::Down => return None,
            Parcel::Frame(_) if is_cut => return None,
            Parcel::Frame(frame) => {
                // A connection is known to whoever gets something over it.
                if link.current == Some(connection) && link.connection < connection {
                    link.begin(connection, &mut states);
                }
                let is_of_now = link.is_up && link.connection == connection;
                if !outlives && !is_of_now {
                    return None;
                }
                link.account.frames_received += 1;
                link.account.bytes_received += frame.len() as u64;
                Some(frame)
            }
        };
        for is_up in &states {
            self.trace.note(now, format_args!("{to} hears that {from} is {}", if *is_up { "up" } else { "down" }));
        }
        if let Some(frame) = &frame {
            self.trace.note(now, format_args!("{from}>{to} {} arrives", Look(frame)));
            self.trace.remark(now, || match crate::wire::decode(frame.clone()) {
                Ok(message) => format!("{message:?}").chars().take(REMARK_CHARS_MAX).collect(),
                Err(error) => error.to_string(),
            });
        }
        Some(Arrival { to, from, inbox, states, frame })
    }
}
