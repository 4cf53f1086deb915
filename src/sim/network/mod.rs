//! The network between simulated nodes: it loses, repeats, reorders, delays and cuts, as the seed decides.
//!
//! ```text
//!   node --> SimTransport::send --> in flight, by arrival --> SimNetwork::take, by the world --> Inbox --> node
//! ```
//! It promises what [`Transport`](crate::transport::Transport) does and no more. Connections come and go as over sockets: both ends are
//! told, each at a moment of its own, ups and downs alternate. A node is never called from inside of `send` or `start`.

mod flight;
mod ports;
#[cfg(test)]
mod tests;
mod transport;
mod weather;

pub use transport::SimTransport;
pub use weather::Weather;

use super::trace::Trace;
use super::SimDisk;
use crate::time::Instant;
use crate::transport::Inbox;
use crate::types::NodeId;
use bytes::Bytes;
use flight::Flight;
use parking_lot::Mutex;
use ports::{Link, Port};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Clones are the same network.
#[derive(Clone)]
pub struct SimNetwork(Arc<Mutex<State>>);

struct State {
    rng: fastrand::Rng,
    now: Instant,
    weather: Weather,
    trace: Trace,
    ports: BTreeMap<NodeId, Port>,
    /// What the first knows of its connection with the second.
    links: BTreeMap<(NodeId, NodeId), Link>,
    /// From whom nothing reaches whom.
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// By arrival.
    flights: BTreeMap<(Instant, u64), Flight>,
    serial: u64,
    connections: u64,
}

/// What has arrived: to be handed over by the world, with no lock held.
pub struct Arrival {
    pub to: NodeId,
    from: NodeId,
    inbox: Inbox,
    /// What the receiver is told of the connection first: that the old one ended, that a new one began.
    states: Vec<bool>,
    frame: Option<Bytes>,
}

impl Arrival {
    pub fn hand_over(self) {
        let Arrival { from, inbox, states, frame, .. } = self;
        states.into_iter().for_each(|is_up| inbox.peer_state(from, is_up));
        if let Some(frame) = frame {
            inbox.deliver(from, frame);
        }
    }
}

impl SimNetwork {
    /// A network without nodes.
    #[must_use]
    pub fn new(seed: u64, weather: Weather, trace: Trace) -> SimNetwork {
        SimNetwork(Arc::new(Mutex::new(State {
            rng: fastrand::Rng::with_seed(seed),
            now: Instant::default(),
            weather,
            trace,
            ports: BTreeMap::new(),
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            flights: BTreeMap::new(),
            serial: 0,
            connections: 0,
        })))
    }

    /// A transport for the next life of a node; what its disk no longer takes, its network does not take either.
    #[must_use]
    pub fn transport(&self, node: NodeId, disk: SimDisk) -> SimTransport {
        SimTransport::new(self.clone(), node, disk)
    }

    /// Nothing is sent before this moment any more.
    pub fn set_now(&self, now: Instant) {
        self.0.lock().now = now;
    }

    pub fn set_weather(&self, weather: Weather) {
        self.0.lock().weather = weather;
    }

    /// When the next frame, or word about a connection, arrives, and at whom.
    #[must_use]
    pub fn next(&self) -> Option<(Instant, NodeId)> {
        self.0.lock().flights.first_key_value().map(|((at, _), flight)| (*at, flight.to))
    }

    /// What arrives next, unless it comes to nothing: lost in a cut, to a node that died, on a connection that is over.
    #[must_use]
    pub fn take(&self) -> Option<Arrival> {
        let mut state = self.0.lock();
        let (_, flight) = state.flights.pop_first()?;
        state.arrive(flight)
    }

    /// Whatever is on its way to a node that stands still waits until then, in order.
    pub fn hold_back(&self, node: NodeId, until: Instant) {
        let mut state = self.0.lock();
        let early = state.flights.range(..(until, 0)).filter(|(_, flight)| flight.to == node);
        for key in early.map(|(key, _)| *key).collect::<Vec<_>>() {
            let flight = state.flights.remove(&key).expect("it was there");
            state.fly_at(until, flight);
        }
    }

    /// The node's process is dead. With it go its connections: the others hear of it soon, or after a power cut much later.
    pub fn kill(&self, node: NodeId, power_too: bool) {
        let inbox = self.0.lock().end_life(node, power_too);
        drop(inbox);
    }

    /// From now on nothing from the one reaches the other. With `breaks` both notice some time later that the connection is dead.
    pub fn cut(&self, from: NodeId, to: NodeId, breaks: bool) {
        let mut state = self.0.lock();
        state.cuts.insert((from, to));
        if breaks {
            state.break_connection(from, to, Duration::from_millis(20)..Duration::from_millis(2_000));
        }
    }

    pub fn mend(&self, from: NodeId, to: NodeId) {
        let mut state = self.0.lock();
        state.cuts.remove(&(from, to));
        state.connect_who_can();
    }

    pub fn mend_all(&self) {
        let mut state = self.0.lock();
        state.cuts.clear();
        state.connect_who_can();
    }

    /// Breaks a connection that could be used; it is made again.
    pub fn reset(&self, one: NodeId, other: NodeId) {
        let mut state = self.0.lock();
        state.break_connection(one, other, Duration::ZERO..Duration::from_millis(20));
        state.connect_who_can();
    }

    /// How many frames and words about connections are on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.lock().flights.len()
    }
}

impl fmt::Debug for SimNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNetwork").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}
