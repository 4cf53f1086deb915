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
use crate::error::ErrorCode;
use crate::types::NodeId;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(60);

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
        let mut events = self.events.lock();
        loop {
            if let Some(found) = until(&events) {
                return found;
            }
            let timed_out = self.changed.wait_for(&mut events, PATIENCE).timed_out();
            assert!(!timed_out, "waited in vain for {what}; had {} events", events.len());
        }
    }

    fn wait_for_frames(&self, count: usize) -> Vec<Bytes> {
        self.wait("frames", |events| Some(frames_of(events)).filter(|frames| frames.len() >= count))
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
    fn send_until_taken(&self, to: NodeId, frame: &Bytes) {
        loop {
            match self.transport.send(to, Frame::from(frame.clone())) {
                Ok(()) => return,
                Err(e) if [ErrorCode::QUEUE_FULL, ErrorCode::NETWORK_EXCEPTION].contains(&e.code()) => {
                    std::thread::yield_now();
                }
                Err(error) => panic!("{error}"),
            }
        }
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
fn wait_until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begin = std::time::Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::yield_now();
    }
}

fn pattern(length: usize, seed: u8) -> Bytes {
    (0..length).map(|i| (i % 251) as u8 ^ seed).collect()
}
