/// Tests that take the settings of their nodes, once over each kind of socket.
macro_rules! over_tcp_and_tls {
    ($($name:ident,)*) => {
        mod over_tcp {
            $(#[test] fn $name() { super::$name(&crate::transport::tests::settings()); })*
        }
        #[cfg(feature = "tls")]
        mod over_tls {
            $(#[test] fn $name() { super::$name(&crate::transport::tests::tls::settings()); })*
        }
    };
}

mod channel;
mod ending;
mod frames;
mod handshake;
mod sockets;
mod states;
mod strangers;
#[cfg(feature = "tls")]
mod tls;

use super::{Frame, Inbox, PeerStats, Receive, Secret, SocketSettings, SocketTransport, Transport};
use crate::error::{Error, ErrorCode};
use crate::types::NodeId;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many frames of some ten kilobytes are far more than queues and sockets hold.
const REFUSED_AFTER: u32 = 20_000;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Event {
    Up(NodeId),
    Down(NodeId),
    Frame(NodeId, Bytes),
}

type OnFrame = Box<dyn Fn(NodeId, &Bytes) + Send + Sync>;

/// Writes down what arrives, and wakes who waits for it.
#[derive(Default)]
struct Recorder {
    events: Mutex<Vec<Event>>,
    changed: Condvar,
    on_frame: Mutex<Option<Arc<OnFrame>>>,
}

impl Recorder {
    fn on_frame(&self, work: impl Fn(NodeId, &Bytes) + Send + Sync + 'static) {
        *self.on_frame.lock() = Some(Arc::new(Box::new(work)));
    }

    fn note(&self, event: Event) {
        self.events.lock().push(event);
        self.changed.notify_all();
    }

    fn events(&self) -> Vec<Event> {
        self.events.lock().clone()
    }

    fn frames(&self) -> Vec<Bytes> {
        frames_of(&self.events.lock())
    }

    fn wait<T>(&self, what: &str, until: impl Fn(&[Event]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut events = self.events.lock();
        loop {
            if let Some(found) = until(&events) {
                return found;
            }
            let timed_out = self.changed.wait_until(&mut events, deadline).timed_out();
            assert!(!timed_out, "waited in vain for {what}; {}", told_shortly(&events));
        }
    }

    fn wait_for_frames(&self, count: usize) -> Vec<Bytes> {
        let is_frame = |event: &&Event| matches!(event, Event::Frame(..));
        self.wait(&format!("{count} frames"), |events| {
            (events.iter().filter(is_frame).count() >= count).then(|| frames_of(events))
        })
    }

    fn wait_up(&self, peer: NodeId) {
        self.wait("a peer to come", |events| is_up(events, peer).then_some(()));
    }

    fn wait_down(&self, peer: NodeId) {
        self.wait("a peer to go", |events| (events.contains(&Event::Down(peer)) && !is_up(events, peer)).then_some(()));
    }

    /// Ups and downs alternate, frames lie between them.
    fn check_order(&self) {
        let mut up = std::collections::BTreeSet::new();
        for event in self.events() {
            match event {
                Event::Up(peer) => assert!(up.insert(peer), "{peer} came twice"),
                Event::Down(peer) => assert!(up.remove(&peer), "{peer} went without having come"),
                Event::Frame(peer, _) => assert!(up.contains(&peer), "a frame of {peer}, which is down"),
            }
        }
    }
}

fn frames_of(events: &[Event]) -> Vec<Bytes> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Frame(_, frame) => Some(frame.clone()),
            _ => None,
        })
        .collect()
}

/// How many events there were, and what has come and gone at last.
fn told_shortly(events: &[Event]) -> String {
    let states: Vec<&Event> = events.iter().filter(|event| !matches!(event, Event::Frame(..))).collect();
    let last = &states[states.len().saturating_sub(8)..];
    format!("had {} events, {} of them frames; at last {last:?}", events.len(), events.len() - states.len())
}

fn is_up(events: &[Event], peer: NodeId) -> bool {
    events.iter().rfind(|event| matches!(event, Event::Up(p) | Event::Down(p) if *p == peer)) == Some(&Event::Up(peer))
}

impl Receive for Recorder {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        let work = self.on_frame.lock().clone();
        if let Some(work) = work {
            work(from, &frame);
        }
        self.note(Event::Frame(from, frame));
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        self.note(if up { Event::Up(peer) } else { Event::Down(peer) });
    }
}

/// A node with its transport and what it heard.
struct Node {
    number: NodeId,
    url: String,
    transport: Arc<SocketTransport>,
    heard: Arc<Recorder>,
}

fn settings() -> SocketSettings {
    SocketSettings {
        reconnect_backoff: Duration::from_millis(1),
        reconnect_backoff_max: Duration::from_millis(20),
        ..SocketSettings::default()
    }
}

fn with_secret(secret: &str) -> SocketSettings {
    knowing(secret, &settings())
}

fn knowing(secret: &str, base: &SocketSettings) -> SocketSettings {
    SocketSettings { secret: Some(Secret::new(secret.as_bytes())), ..base.clone() }
}

fn tcp() -> String {
    "tcp://127.0.0.1:0".to_owned()
}

/// Listens, but knows nobody yet.
fn node_at(number: u32, url: &str, settings: SocketSettings) -> Node {
    let number = NodeId(number);
    let transport = Arc::new(SocketTransport::new(settings));
    let url = transport.listen(url).unwrap();
    let heard = Arc::new(Recorder::default());
    transport.start(number, Inbox::new(Arc::clone(&heard) as Arc<dyn Receive>)).unwrap();
    Node { number, url, transport, heard }
}

/// On `tls://` if it has keys for that.
fn node(number: u32, settings: SocketSettings) -> Node {
    let url = if settings.tls.is_some() { "tls://127.0.0.1:0".to_owned() } else { tcp() };
    node_at(number, &url, settings)
}

fn client(settings: SocketSettings, of: &[&Node]) -> Node {
    let number = super::CLIENT_ID_MIN;
    let transport = Arc::new(SocketTransport::new(settings));
    let heard = Arc::new(Recorder::default());
    transport.start(number, Inbox::new(Arc::clone(&heard) as Arc<dyn Receive>)).unwrap();
    let node = Node { number, url: String::new(), transport, heard };
    for other in of {
        node.knows(other);
    }
    node
}

impl Node {
    fn knows(&self, other: &Node) {
        self.transport.set_peer(other.number, Some(&other.url)).unwrap();
    }

    fn send(&self, to: &Node, frame: impl Into<Bytes>) {
        self.transport.send(to.number, Frame::from(frame.into())).unwrap();
    }

    /// Sends as soon as there is room and a connection.
    #[track_caller]
    fn send_until_taken(&self, to: NodeId, frame: &Bytes) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.transport.send(to, Frame::from(frame.clone())) {
                Ok(()) => return,
                Err(e) if [ErrorCode::QUEUE_FULL, ErrorCode::NETWORK_EXCEPTION].contains(&e.code()) => {
                    assert!(Instant::now() < deadline, "a frame to {to} was never taken: {e}; {:?}", self.stats_of(to));
                    std::thread::yield_now();
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends frames to a peer that does not read until no more is taken; says how many were, and why it ended.
    #[track_caller]
    fn send_until_full(&self, to: NodeId, frame: impl Fn(u32) -> Bytes) -> (u32, Error) {
        let refused = |n| self.transport.send(to, Frame::from(frame(n))).err().map(|error| (n, error));
        (0..REFUSED_AFTER)
            .find_map(refused)
            .unwrap_or_else(|| panic!("{REFUSED_AFTER} frames went to {to}, which reads none"))
    }

    fn stats_of(&self, peer: NodeId) -> PeerStats {
        self.transport.peer_stats().into_iter().find(|stats| stats.peer == peer).unwrap()
    }

    /// The next notice that says `words`.
    fn wait_for_notice(&self, words: &str) -> String {
        wait_until(words, || std::iter::from_fn(|| self.transport.poll_notice()).find(|notice| notice.contains(words)))
    }
}

/// Two nodes that know each other and are connected.
fn pair(settings: SocketSettings) -> (Node, Node) {
    let (one, two) = (node(1, settings.clone()), node(2, settings));
    one.knows(&two);
    two.knows(&one);
    one.heard.wait_up(two.number);
    two.heard.wait_up(one.number);
    (one, two)
}

/// For what nobody is told of: looks again and again.
#[track_caller]
fn wait_until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::yield_now();
    }
}

/// The next connection that somebody makes. Neither reading nor writing waits for ever there.
#[track_caller]
fn next_connection(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let (stream, _) = wait_until("a connection", || match listener.accept() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        outcome => Some(outcome.unwrap()),
    });
    stream.set_nonblocking(false).unwrap();
    patient(stream)
}

/// A socket on which neither reading nor writing waits for ever.
fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes until the other side ends or resets the connection.
#[track_caller]
fn rest_of(stream: &mut TcpStream) -> (Vec<u8>, io::Result<usize>) {
    let mut rest = Vec::new();
    let outcome = stream.read_to_end(&mut rest);
    let in_vain = outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    assert!(!in_vain, "waited in vain for the end of a connection");
    (rest, outcome)
}

fn pattern(length: usize, seed: u8) -> Bytes {
    let once: Vec<u8> = (0..251).map(|i| i ^ seed).collect();
    let mut all = once.repeat(length / once.len() + 1);
    all.truncate(length);
    all.into()
}
