//! A host transport, beside a host that writes down what it is asked and answers what it was told to.

mod host;

use super::*;
use crate::ffi::{
    kafkalog_bytes_t, kafkalog_inbox_deliver, kafkalog_inbox_peer_state, kafkalog_inbox_release,
    kafkalog_transport_vtable_t,
};
use crate::{Receive, BOOTSTRAP_ID_MIN, CLIENT_ID_MIN};
use bytes::Bytes;
use host::{frame, going, release_inbox, Fake, Heard};
use std::sync::{mpsc, OnceLock};

#[test]
fn frames_go_out_in_their_parts_and_come_in_whole_and_both_are_counted() {
    let host = Fake::new();
    let (transport, heard) = going(host);
    host.turn(2, true);
    transport.send(NodeId(2), frame(&["head", "body"])).unwrap();
    transport.send(NodeId(2), Frame::new()).unwrap();
    assert_eq!(host.calls(), ["send 2 head|body", "send 2 "]);
    assert_eq!(host.deliver(2, b"hello"), ErrorCode::NONE);
    assert_eq!(host.deliver(2, b""), ErrorCode::NONE);
    host.turn(i32::MIN + 7, true);
    assert_eq!(host.deliver(i32::MIN + 7, b"a client"), ErrorCode::NONE);
    assert_eq!(transport.peer_stats().len(), 2);
    host.turn(i32::MIN + 7, false);
    let client = NodeId(CLIENT_ID_MIN.0 + 7);
    let said = [format!("{client} is up"), format!("{client}: a client"), format!("{client} is down")];
    assert_eq!(heard.all(), [&["2 is up".to_owned(), "2: hello".into(), "2: ".into()][..], &said].concat());
    let stats = transport.peer_stats();
    assert_eq!((stats.len(), stats[0].peer, stats[0].is_up, stats[0].connects), (1, NodeId(2), true, 1));
    assert_eq!((stats[0].frames_sent, stats[0].bytes_sent), (2, 8));
    assert_eq!((stats[0].frames_received, stats[0].bytes_received), (2, 5));
    release_inbox(host);
}

#[test]
fn a_host_that_comes_after_the_engine_is_told_of_everything_that_still_holds() {
    let host = Fake::new();
    let transport = HostTransport::new("mesh");
    for (peer, address) in [(2, Some("mesh://old")), (3, Some("mesh://three")), (2, Some("mesh://two")), (3, None)] {
        transport.set_peer(NodeId(peer), address).unwrap();
    }
    transport.start(NodeId(1), Inbox::new(Arc::<Heard>::default())).unwrap();
    let refusal = transport.send(NodeId(2), frame(&["early"])).unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::NETWORK_EXCEPTION);
    assert!(refusal.message().contains("mesh://"), "{refusal}");
    transport.register(host.host()).unwrap();
    assert_eq!(host.calls(), ["start 1", "set_peer 2 mesh://two", "set_peer 3 -"]);
    assert_eq!(transport.scheme(), "mesh");
    assert_eq!(transport.register(host.host()).unwrap_err().code(), ErrorCode::STATE);
    assert_eq!(transport.send(NodeId(3), Frame::new()).unwrap_err().code(), ErrorCode::BROKER_NOT_AVAILABLE);
    assert_eq!(transport.set_peer(NodeId(1), Some("mesh://one")).unwrap_err().code(), ErrorCode::INVALID_ARG);
    release_inbox(host);
}

#[test]
fn what_the_host_may_say_is_passed_on_and_all_else_is_its_failure() {
    let host = Fake::new();
    let (transport, _) = going(host);
    for (answer, heard) in [
        (ErrorCode::QUEUE_FULL, ErrorCode::QUEUE_FULL),
        (ErrorCode::NETWORK_EXCEPTION, ErrorCode::NETWORK_EXCEPTION),
        (ErrorCode::BROKER_NOT_AVAILABLE, ErrorCode::BROKER_NOT_AVAILABLE),
        (ErrorCode::MESSAGE_TOO_LARGE, ErrorCode::MESSAGE_TOO_LARGE),
        (ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::TRANSPORT_HOST),
        (ErrorCode(12345), ErrorCode::TRANSPORT_HOST),
    ] {
        *host.answer.lock() = answer.0;
        let error = transport.send(NodeId(2), frame(&["x"])).unwrap_err();
        assert_eq!(error.code(), heard, "{error}");
        assert!(error.message().contains(&answer.0.to_string()), "{error}");
    }
    *host.answer.lock() = -1;
    let refusal = transport.set_peer(NodeId(3), Some("mesh://three")).unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::TRANSPORT_HOST);
    assert_eq!(transport.peer_stats()[0].frames_sent, 0);
    release_inbox(host);
}

#[test]
fn a_stranger_and_a_frame_beyond_the_limit_are_not_let_in() {
    let host = Fake::new();
    let (transport, heard) = going(host);
    assert_eq!(host.deliver(3, b"who?"), ErrorCode::BROKER_NOT_AVAILABLE);
    assert_eq!(host.deliver(1, b"myself"), ErrorCode::BROKER_NOT_AVAILABLE);
    host.turn(3, true);
    assert_eq!(host.deliver(2, &vec![0; FRAME_BYTES_MAX as usize + 1]), ErrorCode::MESSAGE_TOO_LARGE);
    assert!(heard.all().is_empty());
    let nothing = kafkalog_bytes_t { data: std::ptr::null(), len: 1 };
    // SAFETY: both are NULL, or alive.
    unsafe {
        assert_eq!(kafkalog_inbox_deliver(host.inbox(), 2, nothing), ErrorCode::INVALID_ARG.0);
        assert_eq!(kafkalog_inbox_deliver(std::ptr::null_mut(), 2, nothing), ErrorCode::INVALID_ARG.0);
        kafkalog_inbox_peer_state(std::ptr::null_mut(), 2, 1);
        kafkalog_inbox_release(std::ptr::null_mut());
    }
    release_inbox(host);
    drop(transport);
}

#[test]
fn a_client_knows_an_address_before_it_knows_the_node() {
    let (host, heard) = (Fake::new(), Arc::<Heard>::default());
    let transport = HostTransport::new("mesh");
    transport.register(host.host()).unwrap();
    transport.start(CLIENT_ID_MIN, Inbox::new(heard.clone())).unwrap();
    transport.set_peer(BOOTSTRAP_ID_MIN, Some("mesh://somebody")).unwrap();
    host.turn(-1_073_741_824, true);
    transport.send(BOOTSTRAP_ID_MIN, frame(&["who?"])).unwrap();
    assert_eq!(host.deliver(-1_073_741_824, b"me"), ErrorCode::NONE);
    let calls = ["start -2147483648", "set_peer -1073741824 mesh://somebody", "send -1073741824 who?"];
    assert_eq!(host.calls(), calls);
    assert_eq!(heard.all(), [format!("{BOOTSTRAP_ID_MIN} is up"), format!("{BOOTSTRAP_ID_MIN}: me")]);
    assert_eq!(transport.set_peer(NodeId(CLIENT_ID_MIN.0 + 1), None).unwrap_err().code(), ErrorCode::INVALID_ARG);
    release_inbox(host);
}

#[test]
fn the_end_waits_for_a_send_then_stops_and_releases_once() {
    let host = Fake::new();
    let (transport, heard) = going(host);
    let transport = Arc::new(transport);
    let ((say_inside, is_inside), (go, may_go)) = (mpsc::channel(), mpsc::channel());
    *host.gate.lock() = Some((say_inside, may_go));
    let sender = {
        let transport = transport.clone();
        std::thread::spawn(move || transport.send(NodeId(2), frame(&["last"])))
    };
    is_inside.recv().unwrap();
    let stopper = {
        let transport = transport.clone();
        std::thread::spawn(move || transport.stop())
    };
    // The end has begun when nothing is taken any more.
    while transport.set_peer(NodeId(2), Some("mesh://two")).is_ok() {
        std::thread::yield_now();
    }
    assert_eq!(host.deliver(2, b"late"), ErrorCode::DESTROY);
    assert!(!host.calls().contains(&"stop".to_owned()), "a send is still inside");
    go.send(()).unwrap();
    sender.join().unwrap().unwrap();
    stopper.join().unwrap();
    assert_eq!(transport.send(NodeId(2), Frame::new()).unwrap_err().code(), ErrorCode::DESTROY);
    transport.stop();
    drop(transport);
    let calls = host.calls();
    assert_eq!(calls, ["send 2 last", "stop", "release"]);
    // The host has not given the inbox back yet, so it may still ask.
    assert_eq!(host.deliver(2, b"later"), ErrorCode::DESTROY);
    release_inbox(host);
    assert!(heard.all().is_empty());
}

#[test]
fn an_inbox_that_was_given_back_answers_until_its_transport_is_gone() {
    let host = Fake::new();
    let (transport, heard) = going(host);
    release_inbox(host);
    release_inbox(host); // a host that counts badly
    assert_eq!(host.deliver(2, b"late"), ErrorCode::DESTROY);
    transport.send(NodeId(2), frame(&["still"])).unwrap();
    assert!(heard.all().is_empty());
    drop(transport);
    assert_eq!(host.calls(), ["send 2 still", "stop", "release"]);
}

#[test]
fn a_host_that_does_not_start_is_forgotten_and_another_one_may_come() {
    let (bad, good) = (Fake::new(), Fake::new());
    let transport = HostTransport::new("mesh");
    transport.start(NodeId(1), Inbox::new(Arc::<Heard>::default())).unwrap();
    *bad.answer.lock() = ErrorCode::TIMED_OUT.0;
    assert_eq!(transport.register(bad.host()).unwrap_err().code(), ErrorCode::TRANSPORT_HOST);
    assert_eq!(bad.calls(), ["start 1"], "neither stop nor release: all of it is the caller's");
    release_inbox(bad);
    transport.register(good.host()).unwrap();
    drop(transport);
    assert_eq!(good.calls(), ["start 1", "stop", "release"]);
    release_inbox(good);
}

#[test]
fn a_host_whose_engine_never_starts_is_only_released() {
    let host = Fake::new();
    let transport = HostTransport::new("mesh");
    transport.register(host.host()).unwrap();
    drop(transport);
    assert_eq!(host.calls(), ["release"]);
}

#[test]
fn a_table_without_its_functions_is_refused() {
    let whole = Fake::new().table();
    let code = |table: *const kafkalog_transport_vtable_t| {
        // SAFETY: NULL or a table.
        unsafe { Host::of(table) }.map(drop).unwrap_err().code()
    };
    assert_eq!(code(std::ptr::null()), ErrorCode::INVALID_ARG);
    assert_eq!(code(&kafkalog_transport_vtable_t { struct_size: 55, ..whole }), ErrorCode::ABI);
    for table in [
        kafkalog_transport_vtable_t { flags: 1, ..whole },
        kafkalog_transport_vtable_t { start: None, ..whole },
        kafkalog_transport_vtable_t { send: None, ..whole },
        kafkalog_transport_vtable_t { set_peer: None, ..whole },
        kafkalog_transport_vtable_t { stop: None, ..whole },
        kafkalog_transport_vtable_t { release: None, ..whole },
    ] {
        assert_eq!(code(&table), ErrorCode::INVALID_ARG, "{table:?}");
    }
}

/// Answers every frame until it has heard enough.
struct Answers {
    transport: OnceLock<Arc<HostTransport>>,
    other: NodeId,
    left: Mutex<u32>,
}

impl Receive for Answers {
    fn deliver(&self, _: NodeId, frame: Bytes) {
        let has_more = {
            let mut left = self.left.lock();
            *left = left.saturating_sub(1);
            *left > 0
        };
        if has_more {
            self.transport.get().unwrap().send(self.other, frame.into()).unwrap();
        }
    }

    fn peer_state(&self, _: NodeId, _: bool) {}
}

#[test]
fn two_engines_whose_host_delivers_inside_of_send_need_no_more_stack_than_one_call() {
    const ROUNDS: u32 = 100_000;
    let hosts = [Fake::new(), Fake::new()];
    let engines: Vec<_> = (0..2)
        .map(|i: usize| {
            let transport = Arc::new(HostTransport::new("mesh"));
            let (me, other) = (NodeId(i as u32), NodeId(1 - i as u32));
            let answers = Arc::new(Answers { transport: OnceLock::new(), other, left: Mutex::new(ROUNDS) });
            answers.transport.set(transport.clone()).ok().unwrap();
            transport.register(hosts[i].host()).unwrap();
            transport.start(me, Inbox::new(answers.clone())).unwrap();
            transport.set_peer(other, Some("mesh://other")).unwrap();
            hosts[i].other.set((i as i32, hosts[1 - i])).ok().unwrap();
            (transport, answers)
        })
        .collect();
    engines[0].0.send(NodeId(1), frame(&["ping"])).unwrap();
    assert!(engines.iter().any(|(_, answers)| *answers.left.lock() == 0));
    for (i, (transport, _)) in engines.iter().enumerate() {
        transport.stop();
        assert_eq!(hosts[i].calls().last().unwrap(), "release");
        release_inbox(hosts[i]);
    }
}
