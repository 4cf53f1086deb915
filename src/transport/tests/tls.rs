//! `tls://`: who is let in and who is not, and that nobody on the way can read or change what travels.

use super::{client, node, node_at, pair, patient, pattern, Event, Node, NodeId};
use crate::config::SslConfig;
use crate::error::ErrorCode;
use crate::transport::{Frame, SocketSettings, SocketTransport, TlsKeys, Transport, CLIENT_ID_MIN};
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;

pub(super) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

fn files(keystore: &str) -> SslConfig {
    SslConfig { keystore: Some(data(keystore)), key: None, truststore: Some(data("ca.pem")), checks_names: true }
}

pub(super) fn settings() -> SocketSettings {
    showing("node.pem")
}

/// As somebody who shows this certificate.
fn showing(keystore: &str) -> SocketSettings {
    SocketSettings { tls: TlsKeys::load(&files(keystore)).unwrap(), ..super::settings() }
}

/// `one` dials `two`, and both say why that ends there.
#[track_caller]
fn refused(one: &Node, two: &Node, dialler_says: &str, acceptor_says: &str) {
    one.knows(two);
    one.wait_for_notice(dialler_says);
    two.wait_for_notice(acceptor_says);
    assert!(one.heard.events().is_empty() && two.heard.events().is_empty());
    let error = one.transport.send(two.number, Frame::new()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NETWORK_EXCEPTION);
    assert!(one.stats_of(two.number).reason.is_some());
}

/// Known to the acceptor at an address where it never is.
fn known_to(acceptor: &Node, number: u32) {
    acceptor.transport.set_peer(NodeId(number), Some("tls://127.0.0.1:1")).unwrap();
}

#[test]
fn a_dialler_whose_certificate_is_no_good_is_refused_and_told_why() {
    for (shown, dialler_says, acceptor_says) in [
        ("stranger.pem", "does not know the authority", "not signed by an authority of ssl.truststore.location"),
        ("expired.pem", "has expired, or is not valid yet", "the other side's certificate has expired"),
        ("not-yet.pem", "has expired, or is not valid yet", "the other side's certificate is not valid yet"),
        ("server-only.pem", "may not be used for this", "may not be used for this (serverAuth and clientAuth"),
    ] {
        let (one, two) = (node(1, showing(shown)), node(2, settings()));
        known_to(&two, 1);
        refused(&one, &two, dialler_says, acceptor_says);
    }
}

#[test]
fn an_acceptor_whose_certificate_is_no_good_is_not_talked_to() {
    for (shown, dialler_says, acceptor_says) in [
        ("stranger.pem", "not signed by an authority of ssl.truststore.location", "does not know the authority"),
        ("expired.pem", "the other side's certificate has expired", "has expired, or is not valid yet"),
        ("not-yet.pem", "the other side's certificate is not valid yet", "has expired, or is not valid yet"),
        ("elsewhere.pem", "the other side's certificate names another host", "or the name in it"),
    ] {
        let (one, two) = (node(1, settings()), node(2, showing(shown)));
        refused(&one, &two, dialler_says, acceptor_says);
    }
}

#[test]
fn a_certificate_of_somebody_else_makes_nobody_a_node() {
    let (one, two) = (node(1, showing("elsewhere.pem")), node(2, settings()));
    known_to(&two, 1);
    let why = "the dialler's certificate does not name the host";
    refused(&one, &two, why, why);
    // As a client it may come: its name is nobody's business.
    let guest = client(showing("elsewhere.pem"), &[&two]);
    guest.heard.wait_up(two.number);
    // Where the node is known under a host that the certificate does name, it is that node.
    two.transport.set_peer(one.number, Some("tls://192.0.2.1:9")).unwrap();
    two.heard.wait_up(one.number);
}

#[test]
fn a_guest_has_to_show_a_certificate_of_its_address_as_soon_as_that_is_known() {
    let two = node(2, settings());
    let (right, wrong) = (node(3, settings()), node(4, showing("elsewhere.pem")));
    for guest in [&right, &wrong] {
        guest.knows(&two);
        two.heard.wait_up(guest.number);
        two.knows(guest);
    }
    two.heard.wait_down(wrong.number);
    wrong.wait_for_notice("the dialler's certificate does not name the host");
    two.send_until_taken(right.number, &pattern(10, 1));
    right.heard.wait_for_frames(1);
    assert_eq!(two.stats_of(right.number).connects, 1);
    two.heard.check_order();
}

#[test]
fn names_are_not_looked_at_where_the_settings_say_so() {
    let careless = SslConfig { checks_names: false, ..files("elsewhere.pem") };
    let careless = SocketSettings { tls: TlsKeys::load(&careless).unwrap(), ..super::settings() };
    let (one, two) = pair(careless.clone());
    one.send(&two, pattern(10, 1));
    two.heard.wait_for_frames(1);
    // The authority is.
    let stranger = SslConfig { checks_names: false, ..files("stranger.pem") };
    let stranger = SocketSettings { tls: TlsKeys::load(&stranger).unwrap(), ..super::settings() };
    let (stranger, three) = (node(1, stranger), node(3, careless));
    known_to(&three, 1);
    refused(&stranger, &three, "does not know the authority", "not signed by an authority");
}

#[test]
fn whoever_shows_no_certificate_is_refused() {
    let two = node(2, settings());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(data("ca.pem")).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut session = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut socket = patient(TcpStream::connect(two.url.strip_prefix("tls://").unwrap()).unwrap());
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    let mut answer = Vec::new();
    let end = stream.write_all(b"KLNT").and_then(|()| stream.read_to_end(&mut answer)).unwrap_err();
    assert!(end.to_string().contains("CertificateRequired"), "{end}");
    two.wait_for_notice("TLS: refused: the other side shows no certificate");
    assert!(answer.is_empty() && two.heard.events().is_empty());
}

#[test]
fn tls_and_plain_sockets_do_not_understand_each_other_and_say_so() {
    let (plain, under_tls) = (node(1, super::settings()), node(2, settings()));
    plain.transport.set_peer(under_tls.number, Some(&under_tls.url.replace("tls://", "tcp://"))).unwrap();
    plain.wait_for_notice("no handshake of kafkalog");
    under_tls.wait_for_notice("these bytes are no TLS");
    let dialling = node(3, settings());
    dialling.transport.set_peer(plain.number, Some(&plain.url.replace("tcp://", "tls://"))).unwrap();
    dialling.wait_for_notice("these bytes are no TLS");
    plain.wait_for_notice("no handshake of kafkalog");
    for node in [&plain, &under_tls, &dialling] {
        assert!(node.heard.events().is_empty());
    }
}

#[test]
fn a_node_may_listen_on_both_and_the_secret_is_asked_for_under_tls_too() {
    let two = node(2, super::knowing("open sesame", &settings()));
    let plain_url = two.transport.listen(&super::tcp()).unwrap();
    let guest = client(super::with_secret("open sesame"), &[]);
    guest.transport.set_peer(two.number, Some(&plain_url)).unwrap();
    guest.heard.wait_up(two.number);
    let stranger = client(super::knowing("open says me", &settings()), &[&two]);
    stranger.wait_for_notice("different secrets");
    two.wait_for_notice("different secrets");
    assert!(stranger.heard.events().is_empty());
}

#[test]
fn the_host_of_a_listener_stays_as_a_certificate_names_it() {
    let one = node_at(1, "tls://localhost:0", settings());
    assert!(one.url.starts_with("tls://localhost:") && !one.url.ends_with(":0"), "{}", one.url);
    let guest = client(settings(), &[&one]);
    guest.heard.wait_up(one.number);
    assert!(guest.stats_of(one.number).round_trip.is_some());
}

#[test]
fn an_address_under_tls_is_refused_where_there_are_no_certificates() {
    let without = SocketTransport::new(super::settings());
    for error in [
        without.listen("tls://127.0.0.1:0").unwrap_err(),
        without.set_peer(NodeId(2), Some("tls://127.0.0.1:1")).unwrap_err(),
    ] {
        assert_eq!(error.code(), ErrorCode::INVALID_ARG);
        assert!(error.message().contains("ssl.keystore.location, ssl.truststore.location"), "{error}");
    }
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let good = files("node.pem");
    let apart = SslConfig { key: Some(data("node-key.pem")), ..files("node-cert.pem") };
    assert!(TlsKeys::load(&apart).unwrap().is_some());
    assert!(TlsKeys::load(&SslConfig::default()).unwrap().is_none());
    let nothing = b"nothing of interest\n";
    let torn = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let cases = [
        (SslConfig { truststore: None, ..good.clone() }, "go together"),
        (SslConfig { keystore: None, ..good.clone() }, "go together"),
        (SslConfig { key: Some(data("node-key.pem")), ..SslConfig::default() }, "go together"),
        (SslConfig { keystore: Some(data("absent.pem")), ..good.clone() }, "absent.pem: No such file"),
        (SslConfig { keystore: file("1", nothing), ..good.clone() }, "there is no certificate in it"),
        (SslConfig { truststore: file("2", nothing), ..good.clone() }, "ssl.truststore.location="),
        (SslConfig { truststore: file("3", torn), ..good.clone() }, "ssl.truststore.location="),
        (SslConfig { keystore: Some(data("node-cert.pem")), ..good.clone() }, "there is no private key in it"),
        (SslConfig { keystore: Some(data("encrypted.pem")), ..good.clone() }, "needs a password"),
        (SslConfig { key: Some(data("stranger.pem")), ..good.clone() }, "ssl.keystore.location="),
        (SslConfig { keystore: file("4", &vec![b'x'; 5 << 20]), ..good }, "more than 4194304 bytes"),
    ];
    for (config, why) in cases {
        let error = TlsKeys::load(&config).unwrap_err();
        assert_eq!(error.code(), ErrorCode::INVALID_CONFIG);
        assert!(error.message().contains(why), "{error}");
    }
    let shown = format!("{:?}", settings());
    assert!(shown.contains("TlsKeys { checks_names: true, .. }"), "{shown}");
}

/// Stands between a dialler and a node, writes down what passes in either direction, and changes one byte of it if asked to.
struct Tap {
    url: String,
    passed: Arc<Mutex<Vec<u8>>>,
    /// On which connection, and how many bytes of the dialler's still pass as they are before one is changed.
    sound: Arc<Mutex<Option<(usize, usize)>>>,
    connections: Arc<AtomicUsize>,
}

impl Tap {
    fn before(node: &Node) -> Tap {
        let to = node.url.strip_prefix("tls://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("tls://{}", listener.local_addr().unwrap());
        let (passed, sound) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
        let connections = Arc::new(AtomicUsize::new(0));
        let (all, left, count) = (Arc::clone(&passed), Arc::clone(&sound), Arc::clone(&connections));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect(&to).unwrap();
                let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
                let (one, other, left) = (Arc::clone(&all), Arc::clone(&all), Arc::clone(&left));
                let own = count.fetch_add(1, Ordering::SeqCst) + 1;
                thread::spawn(move || carry(near, far, &one, Some((&left, own))));
                thread::spawn(move || carry(back.0, back.1, &other, None));
            }
        });
        Tap { url, passed, sound, connections }
    }

    /// Changes a byte of what the dialler says from now on, on the connection that it has now.
    fn spoil(&self, at: usize) {
        *self.sound.lock() = Some((self.connections.load(Ordering::SeqCst), at));
    }
}

type Spoiled<'a> = (&'a Mutex<Option<(usize, usize)>>, usize);

fn carry(mut from: TcpStream, mut to: TcpStream, passed: &Mutex<Vec<u8>>, spoiled: Option<Spoiled<'_>>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if let Some((sound, own)) = spoiled {
            let mut sound = sound.lock();
            if let Some((_, left)) = sound.filter(|(connection, _)| *connection == own) {
                *sound = left.checked_sub(count).map(|left| (own, left));
                bytes[..count].get_mut(left).into_iter().for_each(|byte| *byte ^= 1);
            }
        }
        passed.lock().extend(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)); // one of them has gone already
}

#[test]
fn what_travels_cannot_be_read_on_the_way() {
    let two = node(2, super::knowing("open sesame", &settings()));
    let tap = Tap::before(&two);
    let guest = client(super::knowing("open sesame", &settings()), &[]);
    guest.transport.set_peer(two.number, Some(&tap.url)).unwrap();
    guest.heard.wait_up(two.number);
    let frame = pattern(100_000, 1);
    guest.send(&two, frame.clone());
    assert_eq!(two.heard.wait_for_frames(1), std::slice::from_ref(&frame));
    two.transport.send(CLIENT_ID_MIN, Frame::from(frame.clone())).unwrap();
    guest.heard.wait_for_frames(1);
    let passed = tap.passed.lock();
    assert!(passed.len() > 2 * frame.len());
    for secret in [&frame[..32], b"KLNT", b"sesame"] {
        assert!(!passed.windows(secret.len()).any(|bytes| bytes == secret));
    }
}

#[test]
fn a_bit_that_is_changed_on_the_way_ends_the_connection_and_delivers_nothing() {
    let two = node(2, settings());
    let tap = Tap::before(&two);
    let guest = client(settings(), &[]);
    guest.transport.set_peer(two.number, Some(&tap.url)).unwrap();
    let ups = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Up(_))).count();
    let mut connections = 0;
    // Type and version of a record, its first three bytes, say nothing any more after the handshake.
    for at in [4, 5, 1000, 20_000, 99_999] {
        // Whoever has told of the client has heard all of its handshake: the next bytes are the frame's.
        connections = two.heard.wait("a client", |events| Some(ups(events)).filter(|count| *count > connections));
        guest.heard.wait("its connection", |events| (ups(events) >= connections).then_some(()));
        tap.spoil(at);
        // An error says that the connection broke while this was written, which is as good; it is not sent again.
        let _ = guest.transport.send(two.number, Frame::from(pattern(100_000, 2)));
        two.wait_for_notice("TLS: ");
    }
    assert!(two.heard.frames().is_empty());
    two.heard.check_order();
}
