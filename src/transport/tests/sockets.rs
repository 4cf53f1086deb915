use super::{client, knowing, node, node_at, pair, pattern, settings, tcp, wait_until, Event, Node};
use crate::error::ErrorCode;
use crate::transport::{Frame, SocketSettings, Transport, BOOTSTRAP_ID_MIN, CLIENT_ID_MIN};
use crate::types::NodeId;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::{mpsc, Arc, Barrier};
use std::thread;

const CAP: u32 = 3 * 1024 * 1024;

fn connect(one: &Node, two: &Node) {
    one.knows(two);
    two.knows(one);
    one.heard.wait_up(two.number);
    two.heard.wait_up(one.number);
}

fn frames_of_every_size_travel_both_ways(urls: [&str; 2], base: &SocketSettings) {
    let settings = SocketSettings { frame_bytes_max: CAP, ..knowing("a", base) };
    let (one, two) = (node_at(1, urls[0], settings.clone()), node_at(2, urls[1], settings));
    connect(&one, &two);
    let sizes = [0, 1, 7, 8, 100, 16_384, 16_385, 65_536, 1 << 20, (1 << 20) + 1, CAP as usize];
    let payloads: Vec<Bytes> = sizes.iter().map(|size| pattern(*size, 5)).collect();
    for payload in &payloads {
        one.send_until_taken(two.number, payload);
        // In parts that do not end where system calls do.
        let mut frame = Frame::new();
        payload.chunks(payload.len() / 300 + 1).for_each(|part| frame.push(Bytes::copy_from_slice(part)));
        two.transport.send(one.number, frame).unwrap();
    }
    assert!(two.heard.wait_for_frames(sizes.len()) == payloads);
    assert!(one.heard.wait_for_frames(sizes.len()) == payloads);
    let too_long = one.transport.send(two.number, Frame::from(pattern(CAP as usize + 1, 5))).unwrap_err();
    assert_eq!(too_long.code(), ErrorCode::MESSAGE_TOO_LARGE);
    let stats = one.stats_of(two.number);
    assert_eq!((stats.frames_sent, stats.frames_received), (sizes.len() as u64, sizes.len() as u64));
    assert_eq!(stats.bytes_sent, sizes.iter().sum::<usize>() as u64);
    assert!(stats.is_up && stats.round_trip.is_some());
    one.heard.check_order();
}

#[test]
fn frames_of_every_size_travel_both_ways_over_tcp() {
    frames_of_every_size_travel_both_ways([&tcp(), &tcp()], &settings());
}

#[cfg(feature = "tls")]
#[test]
fn frames_of_every_size_travel_both_ways_over_tls() {
    let urls = ["tls://127.0.0.1:0", "tls://localhost:0"];
    frames_of_every_size_travel_both_ways(urls, &super::tls::settings());
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_tls_says_what_it_lacks() {
    let one = node(1, settings());
    let config = crate::config::SslConfig {
        keystore: Some("node.pem".into()),
        truststore: Some("ca.pem".into()),
        ..Default::default()
    };
    for refused in [
        one.transport.listen("tls://127.0.0.1:0").unwrap_err(),
        one.transport.set_peer(NodeId(2), Some("tls://127.0.0.1:1")).unwrap_err(),
        crate::transport::TlsKeys::load(&config).unwrap_err(),
    ] {
        assert!(refused.message().contains("cargo feature `tls`"), "{refused}");
    }
}

#[test]
fn frames_of_every_size_travel_both_ways_over_unix_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let urls = ["a", "b"].map(|name| format!("unix://{}", dir.path().join(name).display()));
    frames_of_every_size_travel_both_ways([&urls[0], &urls[1]], &settings());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the socket files are gone");
}

#[test]
fn a_socket_file_that_a_dead_process_left_is_taken_over_and_a_living_ones_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let url = format!("unix://{}", path.display());
    let one = node_at(1, &url, settings());
    let other = crate::transport::SocketTransport::new(settings());
    assert_eq!(other.listen(&url).unwrap_err().code(), ErrorCode::TRANSPORT_HOST);
    drop(one);
}

#[test]
fn the_smaller_cap_of_the_two_counts_for_both() {
    let (one, two) = (
        node(1, SocketSettings { frame_bytes_max: 100, ..settings() }),
        node(2, SocketSettings { frame_bytes_max: 200, ..settings() }),
    );
    connect(&one, &two);
    assert!(two.transport.send(one.number, Frame::from(pattern(101, 0))).is_err());
    two.send(&one, pattern(100, 0));
    one.heard.wait_for_frames(1);
}

fn many_threads_send_at_once_and_each_ones_frames_keep_their_order(base: &SocketSettings) {
    let (one, two) = pair(SocketSettings { queue_frames_max: 100, ..base.clone() });
    let (threads, each) = (6u8, 3000u32);
    thread::scope(|scope| {
        for t in 0..threads {
            let (one, two) = (&one, &two);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(t.into());
                for i in 0..each {
                    let size = if random.u8(..50) == 0 { random.usize(..200_000) } else { random.usize(..200) };
                    let bytes = [&[t][..], &i.to_be_bytes(), &pattern(size, t)].concat();
                    one.send_until_taken(two.number, &bytes.into());
                }
            });
        }
    });
    let frames = two.heard.wait_for_frames(usize::from(threads) * each as usize);
    for t in 0..threads {
        let numbers: Vec<u32> = frames
            .iter()
            .filter(|frame| frame[0] == t)
            .map(|frame| u32::from_be_bytes(frame[1..5].try_into().unwrap()))
            .collect();
        assert!(numbers.into_iter().eq(0..each), "thread {t}");
    }
    wait_until("an empty queue", || (one.stats_of(two.number).queued_frames == 0).then_some(()));
    assert_eq!(one.stats_of(two.number).queued_bytes, 0);
}

fn both_sides_send_more_than_the_sockets_hold_at_the_same_time(base: &SocketSettings) {
    let (one, two) = pair(base.clone());
    thread::scope(|scope| {
        for (from, to) in [(&one, &two), (&two, &one)] {
            scope.spawn(move || (0..200).for_each(|i| from.send_until_taken(to.number, &pattern(300_000, i))));
        }
    });
    for node in [&one, &two] {
        let frames = node.heard.wait_for_frames(200);
        assert!(frames.iter().zip(0..).all(|(frame, i)| *frame == pattern(300_000, i)));
    }
}

fn a_restarted_peer_is_found_again_and_frames_flow(base: &SocketSettings) {
    let (one, mut two) = pair(base.clone());
    for round in 0..5u8 {
        let url = two.url.clone();
        drop(two);
        one.heard.wait_down(super::NodeId(2));
        two = node_at(2, &url, base.clone());
        two.knows(&one);
        two.heard.wait_up(one.number);
        one.send_until_taken(two.number, &pattern(10, round));
        two.send_until_taken(one.number, &pattern(10, round));
        // One of them may have been sent over a connection that was replaced meanwhile; the next one is not.
        wait_until("a frame", || {
            one.send_until_taken(two.number, &Bytes::from_static(b"more"));
            (!two.heard.frames().is_empty()).then_some(())
        });
    }
    assert!(one.stats_of(two.number).connects >= 6);
    one.heard.check_order();
}

fn a_peer_that_never_reads_blocks_nobody(base: &SocketSettings) {
    let small = SocketSettings { queue_bytes_max: 1 << 20, ..base.clone() };
    let (one, slow, quick) = (node(1, small), node(2, base.clone()), node(3, base.clone()));
    connect(&one, &slow);
    connect(&one, &quick);
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    // Returns at once when the other end is dropped.
    slow.heard.on_frame(move |_, _| {
        let _ = released.lock().recv(); // an error once the other end is dropped
    });
    let numbered = |n: u32| [&n.to_be_bytes()[..], &pattern(50_000, 1)].concat().into();
    let (taken, full) = one.send_until_full(slow.number, numbered);
    assert_eq!((full.code(), full.is_retriable()), (ErrorCode::QUEUE_FULL, true));
    assert!(one.stats_of(slow.number).queued_bytes <= 1 << 20);
    for i in 0..100 {
        one.send_until_taken(quick.number, &pattern(1000, i));
    }
    quick.heard.wait_for_frames(100);
    assert!(slow.heard.frames().is_empty());
    drop(release);
    let numbers = slow.heard.wait_for_frames(taken as usize);
    assert!(numbers.iter().map(|f| u32::from_be_bytes(f[..4].try_into().unwrap())).eq(0..taken));
}

fn a_frame_larger_than_the_queue_goes_when_nothing_is_before_it(base: &SocketSettings) {
    let (one, two) = pair(SocketSettings { queue_bytes_max: 1000, ..base.clone() });
    one.send(&two, pattern(500_000, 1));
    two.heard.wait_for_frames(1);
}

fn two_that_dial_each_other_at_the_same_moment_end_with_one_connection(base: &SocketSettings) {
    for round in 0..25 {
        let (one, two) = (node(1, base.clone()), node(2, base.clone()));
        let together = Barrier::new(2);
        thread::scope(|scope| {
            for (own, other) in [(&one, &two), (&two, &one)] {
                let together = &together;
                scope.spawn(move || {
                    together.wait();
                    own.knows(other);
                });
            }
        });
        one.heard.wait_up(two.number);
        two.heard.wait_up(one.number);
        wait_until("one connection", || {
            let counts = [&one, &two].map(|node| node.transport.0.table.lock().lines_count());
            let generation = |node: &Node, of: &Node| {
                let table = node.transport.0.table.lock();
                table.peer(of.number)?.connection.as_ref().map(|connection| connection.agreed.generation)
            };
            let same = generation(&one, &two).is_some() && generation(&one, &two) == generation(&two, &one);
            (counts == [1, 1] && same).then_some(())
        });
        one.send_until_taken(two.number, &pattern(9, round));
        two.send_until_taken(one.number, &pattern(9, round));
        assert_eq!(one.heard.wait_for_frames(1), [pattern(9, round)]);
        assert_eq!(two.heard.wait_for_frames(1), [pattern(9, round)]);
        one.heard.check_order();
        two.heard.check_order();
    }
}

fn a_client_that_does_not_know_who_is_at_an_address_talks_to_whoever_is_there(base: &SocketSettings) {
    let server = node(1, knowing("a", base));
    let answering = Arc::clone(&server.transport);
    server.heard.on_frame(move |from, frame| answering.send(from, Frame::from(frame.clone())).unwrap());
    let asking = client(knowing("a", base), &[]);
    let peers = [BOOTSTRAP_ID_MIN, NodeId(BOOTSTRAP_ID_MIN.0 + 1), server.number];
    for (round, peer) in (1..).zip(peers) {
        asking.transport.set_peer(peer, Some(&server.url)).unwrap();
        asking.heard.wait_up(peer);
        asking.send_until_taken(peer, &pattern(9, round));
        let heard = asking.heard.wait("an answer", |events| match events.last() {
            Some(Event::Frame(from, frame)) => Some((*from, frame.clone())),
            _ => None,
        });
        assert_eq!(heard, (peer, pattern(9, round)));
    }
    assert_eq!(server.transport.peer_stats().len(), 3, "three connections with three clients");
    asking.transport.set_peer(peers[0], None).unwrap();
    asking.heard.wait_down(peers[0]);
    asking.heard.check_order();
    // A wrong secret is refused as ever, and a node may not come without knowing whom it wants.
    let stranger = client(knowing("b", base), &[]);
    stranger.transport.set_peer(BOOTSTRAP_ID_MIN, Some(&server.url)).unwrap();
    stranger.wait_for_notice("different secrets");
}

fn clients_get_their_answers_and_go(base: &SocketSettings) {
    let server = node(1, knowing("a", base));
    let answering = Arc::clone(&server.transport);
    server.heard.on_frame(move |from, frame| {
        assert!(from >= CLIENT_ID_MIN);
        answering.send(from, Frame::from(frame.clone())).unwrap();
    });
    let clients: Vec<Node> = (0..3).map(|_| client(knowing("a", base), &[&server])).collect();
    for (i, client) in (0..).zip(&clients) {
        client.heard.wait_up(server.number);
        client.send(&server, pattern(20, i));
        assert_eq!(client.heard.wait_for_frames(1), [pattern(20, i)]);
    }
    assert_eq!(server.transport.peer_stats().len(), 3);
    drop(clients);
    server.heard.wait("three clients to go", |events| {
        (events.iter().filter(|event| matches!(event, Event::Down(_))).count() == 3).then_some(())
    });
    assert!(server.transport.peer_stats().is_empty());
    let gone = server.transport.send(CLIENT_ID_MIN, Frame::new()).unwrap_err();
    assert_eq!(gone.code(), ErrorCode::BROKER_NOT_AVAILABLE);
    server.heard.check_order();
}

#[test]
fn a_client_too_many_is_refused_until_another_one_goes() {
    let server = node(1, SocketSettings { clients_max: 1, ..settings() });
    let first = client(settings(), &[&server]);
    // The client hears of it earlier than the server.
    server.heard.wait("a client", |events| (!events.is_empty()).then_some(()));
    let second = client(settings(), &[&server]);
    second.wait_for_notice("too many clients");
    drop(first);
    second.heard.wait_up(server.number);
}

fn a_removed_peer_goes_and_does_not_come_back(base: &SocketSettings) {
    let (one, two) = pair(base.clone());
    one.transport.set_peer(two.number, None).unwrap();
    one.heard.wait_down(two.number);
    two.wait_for_notice("no peer of this number is known");
    let error = one.transport.send(two.number, Frame::new()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::BROKER_NOT_AVAILABLE);
    let error = two.transport.send(one.number, Frame::new()).unwrap_err();
    assert_eq!((error.code(), error.is_retriable()), (ErrorCode::NETWORK_EXCEPTION, true));
    assert!(two.stats_of(one.number).reason.is_some());
    one.knows(&two);
    one.heard.wait_up(two.number);
    one.heard.check_order();
}

fn a_peer_that_moves_is_followed(base: &SocketSettings) {
    let (one, two) = pair(base.clone());
    let moved = node(2, base.clone());
    moved.knows(&one);
    drop(two);
    one.knows(&moved);
    moved.heard.wait_up(one.number);
    wait_until("a frame", || {
        one.send_until_taken(moved.number, &pattern(3, 3));
        (!moved.heard.frames().is_empty()).then_some(())
    });
}

#[test]
fn addresses_that_make_no_sense_are_refused() {
    let one = node(1, settings());
    for url in [
        "",
        "tcp://",
        "tcp://x",
        "tcp://:1",
        "tcp://x:99999",
        "unix://relative",
        "inproc://x",
        "http://x:1",
        "tls://x:1",
    ] {
        let error = one.transport.set_peer(super::NodeId(2), Some(url)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::INVALID_ARG, "{url}");
    }
    for number in [one.number, CLIENT_ID_MIN, BOOTSTRAP_ID_MIN] {
        assert!(one.transport.set_peer(number, Some("tcp://127.0.0.1:1")).is_err());
    }
}

over_tcp_and_tls! {
    both_sides_send_more_than_the_sockets_hold_at_the_same_time,
    many_threads_send_at_once_and_each_ones_frames_keep_their_order,
    a_restarted_peer_is_found_again_and_frames_flow,
    a_peer_that_never_reads_blocks_nobody,
    a_frame_larger_than_the_queue_goes_when_nothing_is_before_it,
    two_that_dial_each_other_at_the_same_moment_end_with_one_connection,
    a_client_that_does_not_know_who_is_at_an_address_talks_to_whoever_is_there,
    clients_get_their_answers_and_go,
    a_removed_peer_goes_and_does_not_come_back,
    a_peer_that_moves_is_followed,
}
