//! Peers that say something senseless, or nothing any more, at each point of a conversation: as the one who dials and as the one who is
//! dialled; on a plain socket, inside of TLS, and in the place of TLS.

use super::{next_connection, node, patient, pattern, wait_until, Node, NodeId};
use crate::transport::handshake::{self, Hello, Me, Role, Wanted};
use crate::transport::{Frame, SocketSettings, Transport};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

/// More messages than any conversation here has before its frames.
const SOUND_MAX: usize = 6;
const SEVEN: NodeId = NodeId(7);

/// What is said in the place of something sensible.
fn garbage() -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(7);
    vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 300],
        vec![255; 300],
        b"KLNT\x01\xff\xff".to_vec(),
        b"KLNT\x02\x00\x2c and half of a proof".to_vec(),
        // Records of TLS: endless ones, and an alert that is not sealed.
        [&b"\x16\x03\x03\xff\xff"[..], &[1; 300]].concat(),
        [&b"\x17\x03\x03\x40\x00"[..], &[1; 300]].concat(),
        b"\x15\x03\x03\x00\x02\x02\x28".to_vec(),
        // A frame that claims 4 GiB, one that claims as much as is allowed, half of a header.
        u32::MAX.to_be_bytes().repeat(2),
        [&(65u32 << 20).to_be_bytes()[..], &[0; 100]].concat(),
        vec![0, 0, 0],
        (0..500).map(|_| random.u8(..)).collect(),
    ]
}

/// Writes so many times as it is asked to, and then something else, or nothing any more.
struct Saboteur<S> {
    inner: S,
    sound: usize,
    /// `None`: falls silent.
    garbage: Option<Vec<u8>>,
}

trait Hang {
    fn hang_up(&mut self);
}

impl Hang for TcpStream {
    fn hang_up(&mut self) {
        let _ = self.shutdown(Shutdown::Write); // the other side may have been faster
    }
}

impl<S: Read> Read for Saboteur<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read(into)
    }
}

impl<S: Write + Hang> Write for Saboteur<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.sound.checked_sub(1) {
            Some(left) => {
                self.sound = left;
                self.inner.write_all(bytes)?;
            }
            None => {
                if let Some(garbage) = self.garbage.take() {
                    self.inner.write_all(&garbage)?;
                    self.inner.hang_up();
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Hang> Hang for Saboteur<S> {
    fn hang_up(&mut self) {
        self.inner.hang_up();
    }
}

#[cfg(feature = "tls")]
mod through {
    use super::{Hang, IoSlice, Read, Write};
    use crate::transport::tls::Tls;
    use std::io;

    /// Speaks through TLS.
    pub struct Through<S> {
        pub tls: Tls,
        pub inner: S,
    }

    impl<S: Read> Read for Through<S> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.tls.read(into, |sealed| self.inner.read(sealed))
        }
    }

    impl<S: Write> Write for Through<S> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.tls.write(&[IoSlice::new(bytes)], |sealed| self.inner.write(sealed))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<S: Hang> Hang for Through<S> {
        fn hang_up(&mut self) {
            self.inner.hang_up();
        }
    }
}

#[cfg(feature = "tls")]
use {std::io::IoSlice, through::Through};

/// Where the conversation is spoilt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layer {
    /// On a socket without TLS, or inside of TLS.
    Inside,
    /// Below TLS, on the socket itself.
    #[cfg(feature = "tls")]
    Below,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Dials,
    IsDialled,
}

/// Talks to the node as node 7, as far as it comes, and then goes on with frames; answers when the other side has hung up, or at once when
/// it is to fall silent.
fn talk(settings: &SocketSettings, socket: TcpStream, side: Side, layer: Layer, sound: usize, garbage: Option<&[u8]>) {
    let garbage = garbage.map(<[u8]>::to_vec);
    let Some(_keys) = &settings.tls else {
        return converse(settings, &mut Saboteur { inner: socket, sound, garbage }, side);
    };
    #[cfg(feature = "tls")]
    {
        let tls = match side {
            Side::Dials => _keys.dialling("127.0.0.1"),
            Side::IsDialled => _keys.listening(),
        };
        let tls = tls.unwrap();
        let (below, inside) = if layer == Layer::Below { (sound, usize::MAX) } else { (usize::MAX, sound) };
        let mut inner = Saboteur { inner: socket, sound: below, garbage: garbage.clone() };
        if tls.shake_hands(&mut inner).is_ok() {
            converse(settings, &mut Saboteur { inner: Through { tls, inner }, sound: inside, garbage }, side);
        } else {
            listen_to_the_end(&mut inner);
        }
    }
    #[cfg(not(feature = "tls"))]
    let _ = layer;
}

fn converse(settings: &SocketSettings, stream: &mut Saboteur<impl Read + Write + Hang>, side: Side) {
    let is_silent = stream.garbage.is_none();
    let me = Me {
        role: Role::Node,
        number: SEVEN,
        cluster: [0; 16],
        secret: settings.secret.clone(),
        incarnation: fastrand::u64(..),
        frame_bytes_max: u32::MAX,
    };
    let wanted = Wanted { node: NodeId(1), insists: true };
    let talked = match side {
        Side::Dials => handshake::dial(stream, &me, wanted, || true, || Some(1)),
        Side::IsDialled => handshake::accept(stream, &me, |hello: &Hello| Ok(hello.number), |_, _, _| Ok(None)),
    };
    let frame = Frame::from(pattern(10, 1));
    let bytes = [&frame.header().encode()[..], &pattern(10, 1)].concat();
    for _ in 0..SOUND_MAX * usize::from(talked.is_ok()) {
        if stream.write_all(&bytes).is_err() {
            break;
        }
    }
    if !is_silent {
        stream.hang_up();
        listen_to_the_end(stream);
    }
}

fn listen_to_the_end(stream: &mut impl Read) {
    let mut bytes = [0; 1024];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                assert!(error.kind() != io::ErrorKind::WouldBlock, "the node does not hang up");
                return;
            }
        }
    }
}

fn layers(settings: &SocketSettings) -> Vec<Layer> {
    match &settings.tls {
        None => vec![Layer::Inside],
        #[cfg(feature = "tls")]
        Some(_) => vec![Layer::Inside, Layer::Below],
        #[cfg(not(feature = "tls"))]
        Some(_) => unreachable!("there are no keys"),
    }
}

fn socket_to(node: &Node) -> TcpStream {
    patient(TcpStream::connect(node.url.split_once("://").unwrap().1).unwrap())
}

/// Only sound frames were heard, in order; and whoever comes in earnest is let in.
fn is_as_good_as_new(one: &Node, base: &SocketSettings) {
    one.heard.check_order();
    assert!(one.heard.frames().iter().all(|frame| *frame == pattern(10, 1)));
    let two = node(2, base.clone());
    two.knows(one);
    one.knows(&two);
    two.heard.wait_up(one.number);
    two.send_until_taken(one.number, &pattern(10, 1));
    wait_until("no handshake", || (one.transport.0.table.lock().handshakes == 0).then_some(()));
    one.transport.stop();
    assert!(std::iter::from_fn(|| one.transport.poll_notice()).all(|notice| !notice.contains("in time")));
}

fn a_dialler_that_talks_nonsense_at_any_point_is_dropped_with_a_reason(base: &SocketSettings) {
    let base = super::knowing("a", base);
    let one = node(1, base.clone());
    one.transport.set_peer(SEVEN, Some("tcp://127.0.0.1:1")).unwrap();
    for layer in layers(&base) {
        for (sound, garbage) in (0..SOUND_MAX).flat_map(|sound| garbage().into_iter().map(move |one| (sound, one))) {
            while one.transport.poll_notice().is_some() {}
            talk(&base, socket_to(&one), Side::Dials, layer, sound, Some(&garbage));
            let about_us = |notice: &String| {
                notice.starts_with("an incoming connection: ") || notice.starts_with("the connection with 7")
            };
            wait_until("a reason", || std::iter::from_fn(|| one.transport.poll_notice()).find(about_us));
        }
    }
    is_as_good_as_new(&one, &base);
}

fn an_acceptor_that_talks_nonsense_at_any_point_is_dropped_with_a_reason(base: &SocketSettings) {
    let base = super::knowing("a", base);
    let one = node(1, base.clone());
    let seven = TcpListener::bind("127.0.0.1:0").unwrap();
    let scheme = one.url.split_once("://").unwrap().0;
    one.transport.set_peer(SEVEN, Some(&format!("{scheme}://{}", seven.local_addr().unwrap()))).unwrap();
    for layer in layers(&base) {
        for (sound, garbage) in (0..SOUND_MAX).flat_map(|sound| garbage().into_iter().map(move |one| (sound, one))) {
            talk(&base, next_connection(&seven), Side::IsDialled, layer, sound, Some(&garbage));
        }
    }
    wait_until("a reason", || one.stats_of(SEVEN).reason);
    one.transport.set_peer(SEVEN, None).unwrap();
    is_as_good_as_new(&one, &base);
}

fn stop_returns_whatever_a_peer_does_not_say(base: &SocketSettings) {
    let patient = SocketSettings { handshake_timeout: Duration::from_secs(3600), ..super::knowing("a", base) };
    for side in [Side::Dials, Side::IsDialled] {
        for (layer, sound) in
            layers(&patient).into_iter().flat_map(|layer| (0..SOUND_MAX).map(move |sound| (layer, sound)))
        {
            let one = node(1, patient.clone());
            let seven = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = seven.local_addr().unwrap();
            let scheme = one.url.split_once("://").unwrap().0;
            one.transport.set_peer(SEVEN, Some(&format!("{scheme}://{at}"))).unwrap();
            let socket = match side {
                Side::Dials => socket_to(&one),
                Side::IsDialled => next_connection(&seven),
            };
            let kept = socket.try_clone().unwrap();
            let settings = patient.clone();
            // Waits for an answer that may never come; it ends when the node does.
            let silent = std::thread::spawn(move || talk(&settings, socket, side, layer, sound, None));
            one.transport.stop();
            let notices: Vec<String> = std::iter::from_fn(|| one.transport.poll_notice()).collect();
            assert!(
                notices.iter().all(|notice| !notice.contains("in time")),
                "{side:?} {layer:?} {sound}: {notices:?}"
            );
            let _ = kept.shutdown(Shutdown::Both); // the node has gone
            silent.join().unwrap();
        }
    }
}

over_tcp_and_tls! {
    a_dialler_that_talks_nonsense_at_any_point_is_dropped_with_a_reason,
    an_acceptor_that_talks_nonsense_at_any_point_is_dropped_with_a_reason,
    stop_returns_whatever_a_peer_does_not_say,
}
