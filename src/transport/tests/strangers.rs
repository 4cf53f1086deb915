//! Those who are not let in, and those who misbehave once they are.

use super::{client, node, pair, patient, pattern, rest_of, settings, wait_until, with_secret, Node, NodeId, Secret};
use crate::transport::handshake::{self, Me, Message, Refusal, Role, Wanted};
use crate::transport::{ClusterId, Frame, SocketSettings, Transport};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn raw(to: &Node) -> TcpStream {
    patient(TcpStream::connect(to.url.strip_prefix("tcp://").unwrap()).unwrap())
}

/// Both sides say why, and neither hears a frame or a peer.
#[track_caller]
fn strangers(one: &Node, two: &Node, why: &str) {
    one.wait_for_notice(why);
    two.wait_for_notice(why);
    for node in [one, two] {
        assert!(node.heard.events().is_empty());
        let other = if node.number == one.number { two } else { one };
        if let Err(error) = node.transport.send(other.number, Frame::new()) {
            assert!(!error.message().contains("sesame"), "{error}");
        }
    }
}

#[test]
fn another_cluster_is_refused() {
    let two = node(2, SocketSettings { cluster: ClusterId([1; 16]), ..settings() });
    let one = node(1, settings());
    one.knows(&two);
    strangers(&one, &two, "another cluster");
}

#[test]
fn an_unknown_node_is_refused_where_there_is_no_room_for_guests() {
    let (one, two) = (node(1, settings()), node(2, SocketSettings { guests_max: 0, ..settings() }));
    one.knows(&two);
    strangers(&one, &two, "no peer of this number");
}

#[test]
fn a_node_that_nobody_made_known_is_a_guest_if_it_knows_the_secret() {
    let with = |word| SocketSettings { guests_max: 1, ..with_secret(word) };
    let (one, two, three) = (node(1, with("sesame")), node(2, with("sesame")), node(3, with("open says me")));
    three.knows(&one);
    three.wait_for_notice("different secrets");
    two.knows(&one);
    one.heard.wait_up(two.number);
    two.heard.wait_up(one.number);
    one.send(&two, pattern(10, 1));
    two.heard.wait_for_frames(1);
    // There is room for one.
    let four = node(4, with("sesame"));
    four.knows(&one);
    four.wait_for_notice("no peer of this number");
    // Made known, it is no guest any more, and keeps its connection.
    one.knows(&two);
    four.heard.wait_up(one.number);
    one.heard.wait_up(four.number);
    assert_eq!(one.stats_of(two.number).connects, 1);
    // A guest that goes is forgotten; a node that was removed does not come back as one.
    four.transport.stop();
    wait_until("it is forgotten", || {
        let known = one.transport.peer_stats();
        known.iter().all(|stats| stats.peer != four.number).then_some(())
    });
    one.transport.set_peer(two.number, None).unwrap();
    two.wait_for_notice("no peer of this number");
    assert!(one.transport.peer_stats().is_empty());
}

#[test]
fn ones_own_number_and_another_node_than_the_expected_one_are_refused() {
    let (one, twin) = (node(1, settings()), node(1, settings()));
    // Whoever is expected at the twin's address as node 2 turns out to be somebody else.
    one.transport.set_peer(NodeId(2), Some(&twin.url)).unwrap();
    one.wait_for_notice("refused by the other side");
    twin.wait_for_notice("refused: ");
    assert!(one.heard.events().is_empty() && twin.heard.events().is_empty());
}

#[test]
fn a_secret_on_one_side_only_is_refused_in_both_directions() {
    for (dialling, listening) in [(with_secret("open sesame"), settings()), (settings(), with_secret("open sesame"))] {
        let (one, two) = (node(1, dialling), node(2, listening));
        one.knows(&two);
        two.transport.set_peer(one.number, Some("tcp://127.0.0.1:1")).unwrap();
        strangers(&one, &two, "the other has none");
    }
}

#[test]
fn a_wrong_secret_is_refused_for_nodes_and_clients() {
    let (one, two) = (node(1, with_secret("open sesame")), node(2, with_secret("open says me")));
    one.knows(&two);
    two.transport.set_peer(one.number, Some("tcp://127.0.0.1:1")).unwrap();
    strangers(&one, &two, "different secrets");
    let guest = client(with_secret("sesame"), &[&two]);
    guest.wait_for_notice("different secrets");
    assert!(two.heard.events().is_empty());
}

#[test]
fn garbage_is_told_that_it_is_garbage_and_the_others_go_on() {
    let (one, two) = pair(settings());
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 100], &[255; 7], b"KLNT\x01\xff\xff", b"KLNT\x02\x00\x2c"] {
        let mut stranger = raw(&one);
        stranger.write_all(garbage).unwrap();
        // Half a message: the end of it is the end of the handshake. A reset instead of an answer is as good, also now already.
        let _ = stranger.shutdown(std::net::Shutdown::Write);
        let (answer, outcome) = rest_of(&mut stranger);
        if outcome.is_ok() && !answer.is_empty() {
            assert_eq!(answer, Message::Refused(Refusal::NotOurs).encode());
        }
        one.wait_for_notice("an incoming connection");
    }
    one.send(&two, pattern(10, 1));
    two.heard.wait_for_frames(1);
    assert_eq!(one.stats_of(two.number).connects, two.stats_of(one.number).connects);
}

#[test]
fn a_flood_of_half_open_connections_is_bounded_and_ends() {
    let one = node(1, SocketSettings { handshakes_max: 4, ..settings() });
    let open = || one.transport.0.table.lock().handshakes;
    let mut half_open = Vec::new();
    while open() < 4 {
        half_open.push(raw(&one));
        wait_until("the listener", || (open() == half_open.len()).then_some(()));
    }
    for _ in 0..10 {
        // Closed without a word.
        assert!(rest_of(&mut raw(&one)).0.is_empty());
    }
    one.wait_for_notice("too many connections");
    assert_eq!(open(), 4);
    drop(half_open);
    wait_until("room", || (open() == 0).then_some(()));
    client(settings(), &[&one]).heard.wait_up(one.number);
}

#[test]
fn who_says_nothing_or_too_slowly_is_cut() {
    let one = node(1, SocketSettings { handshake_timeout: Duration::from_millis(30), ..settings() });
    let (rest, outcome) = rest_of(&mut raw(&one));
    outcome.unwrap();
    assert!(rest.is_empty());
    one.wait_for_notice("took too long");
    let mut trickling = raw(&one);
    let hello = b"KLNT\x01\x00\x4a";
    // Byte for byte: the time is for all of it and not for each.
    for byte in hello.iter().cycle() {
        if trickling.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::yield_now();
    }
}

/// A peer made by hand, which has come through the handshake.
fn insider(to: &Node, secret: &str) -> TcpStream {
    dial_as_seven(to, secret, false).unwrap()
}

fn dial_as_seven(to: &Node, secret: &str, insists: bool) -> Result<TcpStream, handshake::End> {
    let me = Me {
        role: Role::Node,
        number: NodeId(7),
        cluster: [0; 16],
        secret: Some(Secret::new(secret.as_bytes())),
        incarnation: fastrand::u64(..),
        frame_bytes_max: u32::MAX,
    };
    let mut stream = raw(to);
    handshake::dial(&mut stream, &me, Wanted { node: to.number, insists }, || true, || Some(1))?;
    Ok(stream)
}

#[test]
fn an_insider_that_sends_what_is_no_frame_is_dropped_with_a_reason() {
    let one = node(1, with_secret("a"));
    one.transport.set_peer(NodeId(7), Some("tcp://127.0.0.1:1")).unwrap();
    let good = Frame::from(pattern(10, 1));
    let mut wrong_sum = [&good.header().encode()[..], &pattern(10, 2)].concat();
    let cases: [(&[u8], &str); 4] = [
        (&u32::MAX.to_be_bytes().repeat(4), "claims 4294967295 bytes"),
        (&(65u32 << 20).wrapping_add(1).to_be_bytes().repeat(2), "are allowed"),
        (&wrong_sum.clone(), "fails its checksum"),
        (&wrong_sum.drain(..12).collect::<Vec<u8>>(), "inside of a frame"),
    ];
    for (bytes, why) in cases {
        let mut stream = insider(&one, "a");
        stream.write_all(&good.header().encode()).unwrap();
        stream.write_all(&pattern(10, 1)).unwrap();
        stream.write_all(bytes).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write); // may have been dropped already
        one.wait_for_notice(why);
        one.heard.wait_down(NodeId(7));
    }
    assert_eq!(one.heard.frames().len(), 4, "the good frame before each");
    assert!(one.stats_of(NodeId(7)).reason.is_some());
    one.heard.check_order();
}

#[test]
fn a_newer_connection_of_the_same_node_replaces_one_that_is_dead_without_a_word() {
    let one = node(1, with_secret("a"));
    one.transport.set_peer(NodeId(7), Some("tcp://127.0.0.1:1")).unwrap();
    let mut old = insider(&one, "a");
    one.heard.wait_up(NodeId(7));
    // The first time it may be a coincidence, the second time it is not.
    let end = dial_as_seven(&one, "a", false).unwrap_err();
    assert!(matches!(end, handshake::End::RefusedByPeer(Refusal::NotNeeded)), "{end}");
    let mut new = dial_as_seven(&one, "a", true).unwrap();
    let _ = rest_of(&mut old); // an end or a reset
    let frame = Frame::from(pattern(10, 1));
    new.write_all(&frame.header().encode()).unwrap();
    new.write_all(&pattern(10, 1)).unwrap();
    one.heard.wait_for_frames(1);
    assert_eq!(one.stats_of(NodeId(7)).connects, 2);
    one.heard.check_order();
}

#[test]
fn a_stranger_that_only_claims_to_be_a_node_keeps_nobody_from_dialling_it() {
    let patient = SocketSettings { handshake_timeout: Duration::from_secs(3600), ..with_secret("a") };
    let (one, two) = (node(1, patient), node(2, with_secret("a")));
    // Says hello as node 2 and then nothing more.
    let mut liar = raw(&one);
    one.transport.set_peer(two.number, Some("tcp://127.0.0.1:1")).unwrap();
    let hello = handshake::Hello {
        version_min: 1,
        version_max: 1,
        role: Role::Node,
        knows_secret: true,
        insists: true,
        cluster: [0; 16],
        number: two.number,
        expects: Some(one.number),
        incarnation: 1,
        frame_bytes_max: 1,
        nonce: [0; 32],
    };
    liar.write_all(&Message::Hello(hello).encode()).unwrap();
    let mut answer = [0; 7];
    liar.read_exact(&mut answer).unwrap();
    two.transport.set_peer(one.number, Some("tcp://127.0.0.1:1")).unwrap();
    one.knows(&two);
    two.heard.wait_up(one.number);
    one.heard.wait_up(two.number);
}
