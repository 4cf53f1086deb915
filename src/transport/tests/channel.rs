use super::{pattern, Event, Recorder, PATIENCE};
use crate::error::ErrorCode;
use crate::transport::trampoline::CALLS_WAITING_MAX;
use crate::transport::{
    ChannelHub, ChannelTransport, Frame, Inbox, Receive, Transport, BOOTSTRAP_ID_MIN, CLIENT_ID_MIN,
};
use crate::types::NodeId;
use bytes::Bytes;
use parking_lot::Mutex;
use std::cell::Cell;
use std::sync::{mpsc, Arc};
use std::thread;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

struct Member {
    transport: Arc<ChannelTransport>,
    heard: Arc<Recorder>,
}

fn member(hub: &ChannelHub, number: NodeId, name: &str) -> Member {
    let transport = Arc::new(hub.transport(name).unwrap());
    let heard = Arc::new(Recorder::default());
    transport.start(number, Inbox::new(Arc::clone(&heard) as Arc<dyn Receive>)).unwrap();
    Member { transport, heard }
}

fn pair(hub: &ChannelHub) -> (Member, Member) {
    let (one, two) = (member(hub, ONE, "one"), member(hub, TWO, "two"));
    one.transport.set_peer(TWO, Some("inproc://two")).unwrap();
    two.transport.set_peer(ONE, Some("inproc://one")).unwrap();
    (one, two)
}

fn code(outcome: crate::error::Result<()>) -> ErrorCode {
    outcome.unwrap_err().code()
}

#[test]
fn a_frame_arrives_on_the_senders_thread_without_being_copied() {
    let (one, two) = pair(&ChannelHub::new());
    let (told, hear) = mpsc::channel();
    two.heard.on_frame(move |_, _| told.send(thread::current().id()).unwrap());
    let payload = pattern(5000, 1);
    one.transport.send(TWO, Frame::from(payload.clone())).unwrap();
    assert_eq!(hear.try_recv().unwrap(), thread::current().id());
    assert_eq!(two.heard.frames()[0].as_ptr(), payload.as_ptr());
    let stats = &two.transport.peer_stats()[0];
    assert_eq!((stats.frames_received, stats.bytes_received, stats.is_up), (1, 5000, true));
}

#[test]
fn members_meet_when_one_knows_the_other_and_part_when_one_stops() {
    let hub = ChannelHub::new();
    let one = member(&hub, ONE, "one");
    one.transport.set_peer(TWO, Some("inproc://two")).unwrap();
    assert_eq!(code(one.transport.send(TWO, Frame::new())), ErrorCode::NETWORK_EXCEPTION);
    assert_eq!(code(one.transport.send(NodeId(9), Frame::new())), ErrorCode::BROKER_NOT_AVAILABLE);
    let two = member(&hub, TWO, "two");
    // A guest that is made known keeps its connection.
    assert_eq!((one.heard.events(), two.heard.events()), (vec![Event::Up(TWO)], vec![Event::Up(ONE)]));
    two.transport.set_peer(ONE, Some("inproc://one")).unwrap();
    assert_eq!((one.heard.events(), two.heard.events()), (vec![Event::Up(TWO)], vec![Event::Up(ONE)]));
    two.transport.stop();
    assert_eq!(one.heard.events(), [Event::Up(TWO), Event::Down(TWO)]);
    assert_eq!(code(one.transport.send(TWO, Frame::new())), ErrorCode::NETWORK_EXCEPTION);
    assert_eq!(code(two.transport.send(ONE, Frame::new())), ErrorCode::DESTROY);
    // A successor under the same name.
    let again = member(&hub, TWO, "two");
    again.transport.set_peer(ONE, Some("inproc://one")).unwrap();
    one.transport.send(TWO, Frame::from(Bytes::from_static(b"again"))).unwrap();
    assert_eq!(again.heard.frames(), [&b"again"[..]]);
    // Who was removed does not come back as a guest.
    one.transport.set_peer(TWO, None).unwrap();
    assert_eq!(code(one.transport.send(TWO, Frame::new())), ErrorCode::BROKER_NOT_AVAILABLE);
    // A guest that goes is forgotten.
    let three = member(&hub, NodeId(3), "three");
    three.transport.set_peer(ONE, Some("inproc://one")).unwrap();
    one.transport.send(NodeId(3), Frame::new()).unwrap();
    three.transport.stop();
    assert_eq!(code(one.transport.send(NodeId(3), Frame::new())), ErrorCode::BROKER_NOT_AVAILABLE);
    one.heard.check_order();
    again.heard.check_order();
}

#[test]
fn who_has_the_wrong_number_or_name_is_not_met() {
    let hub = ChannelHub::new();
    let (one, two) = (member(&hub, ONE, "one"), member(&hub, TWO, "two"));
    one.transport.set_peer(NodeId(3), Some("inproc://two")).unwrap();
    two.transport.set_peer(ONE, Some("inproc://someone")).unwrap();
    assert!(one.heard.events().is_empty() && two.heard.events().is_empty());
    for (peer, address) in [(TWO, "tcp://two:1"), (ONE, "inproc://one"), (CLIENT_ID_MIN, "inproc://x")] {
        assert_eq!(code(one.transport.set_peer(peer, Some(address))), ErrorCode::INVALID_ARG);
    }
    assert!(hub.transport("one").is_err());
}

#[test]
fn clients_are_numbered_answered_and_forgotten() {
    let hub = ChannelHub::new();
    let server = member(&hub, ONE, "server");
    let answering = Arc::clone(&server.transport);
    server.heard.on_frame(move |from, frame| answering.send(from, Frame::from(frame.clone())).unwrap());
    let clients: Vec<Member> = (0..3).map(|i| member(&hub, CLIENT_ID_MIN, &format!("client {i}"))).collect();
    for (i, client) in clients.iter().enumerate() {
        client.transport.set_peer(ONE, Some("inproc://server")).unwrap();
        client.transport.send(ONE, Frame::from(pattern(10, i as u8))).unwrap();
        assert_eq!(client.heard.frames(), [pattern(10, i as u8)]);
        client.transport.stop();
    }
    let events = server.heard.events();
    let gone: Vec<_> = events.iter().filter(|event| matches!(event, Event::Down(n) if *n >= CLIENT_ID_MIN)).collect();
    assert_eq!(gone.len(), 3);
    assert!(server.transport.peer_stats().is_empty());
    server.heard.check_order();
}

#[test]
fn a_client_reaches_whoever_has_a_name_under_a_bootstrap_number_beside_the_node_s_own() {
    let hub = ChannelHub::new();
    let server = member(&hub, ONE, "server");
    let answering = Arc::clone(&server.transport);
    server.heard.on_frame(move |from, frame| answering.send(from, Frame::from(frame.clone())).unwrap());
    let client = member(&hub, CLIENT_ID_MIN, "client");
    let peers = [BOOTSTRAP_ID_MIN, NodeId(BOOTSTRAP_ID_MIN.0 + 1), ONE];
    for (peer, byte) in peers.into_iter().zip(1..) {
        client.transport.set_peer(peer, Some("inproc://server")).unwrap();
        client.transport.send(peer, Frame::from(pattern(3, byte))).unwrap();
        let events = client.heard.events();
        assert_eq!(events[events.len() - 2..], [Event::Up(peer), Event::Frame(peer, pattern(3, byte))]);
    }
    assert_eq!(server.transport.peer_stats().len(), 3);
    client.transport.set_peer(BOOTSTRAP_ID_MIN, None).unwrap();
    assert_eq!(client.heard.events().last(), Some(&Event::Down(BOOTSTRAP_ID_MIN)));
    // Lost with its node, and there again when the name is taken again.
    server.transport.stop();
    assert_eq!(code(client.transport.send(peers[1], Frame::new())), ErrorCode::NETWORK_EXCEPTION);
    let _another = member(&hub, TWO, "server");
    assert_eq!(client.heard.events().last(), Some(&Event::Up(peers[1])));
    client.heard.check_order();
    server.heard.check_order();
    let node = member(&hub, NodeId(3), "node");
    assert_eq!(code(node.transport.set_peer(BOOTSTRAP_ID_MIN, Some("inproc://server"))), ErrorCode::INVALID_ARG);
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn a_hundred_thousand_answers_on_one_thread_need_no_more_stack_than_one() {
    let (one, two) = pair(&ChannelHub::new());
    for (member, to) in [(&one, TWO), (&two, ONE)] {
        let transport = Arc::clone(&member.transport);
        member.heard.on_frame(move |_, frame| {
            assert_eq!(DEPTH.replace(1), 0, "a delivery inside of a delivery");
            let left = u32::from_be_bytes(frame[..].try_into().unwrap());
            if let Some(left) = left.checked_sub(1) {
                transport.send(to, Frame::from(Bytes::copy_from_slice(&left.to_be_bytes()))).unwrap();
            }
            DEPTH.set(0);
        });
    }
    one.transport.send(TWO, Frame::from(Bytes::copy_from_slice(&100_000u32.to_be_bytes()))).unwrap();
    assert_eq!(one.heard.frames().len() + two.heard.frames().len(), 100_001);
}

#[test]
fn what_is_sent_while_delivering_comes_afterwards_in_order() {
    let (one, two) = pair(&ChannelHub::new());
    let (transport, log) = (Arc::clone(&two.transport), Arc::new(Mutex::new(Vec::new())));
    let noting = Arc::clone(&log);
    two.heard.on_frame(move |_, _| {
        for i in 0..3u8 {
            transport.send(ONE, Frame::from(Bytes::copy_from_slice(&[i]))).unwrap();
        }
        noting.lock().push(99);
    });
    let noting = Arc::clone(&log);
    one.heard.on_frame(move |_, frame| noting.lock().push(frame[0]));
    one.transport.send(TWO, Frame::new()).unwrap();
    assert_eq!(*log.lock(), [99, 0, 1, 2]);
}

#[test]
fn a_thread_that_only_sends_is_stopped_by_a_full_queue_and_goes_on_after_it() {
    let (one, two) = pair(&ChannelHub::new());
    let transport = Arc::clone(&two.transport);
    let full = Arc::new(Mutex::new(None));
    let telling = Arc::clone(&full);
    two.heard.on_frame(move |_, _| {
        let taken = (0..).map_while(|_| transport.send(ONE, Frame::new()).map_err(|e| *telling.lock() = Some(e)).ok());
        assert_eq!(taken.count(), CALLS_WAITING_MAX);
    });
    one.transport.send(TWO, Frame::new()).unwrap();
    assert_eq!(full.lock().take().unwrap().code(), ErrorCode::QUEUE_FULL);
    assert_eq!(one.heard.frames().len(), CALLS_WAITING_MAX);
}

#[test]
fn each_threads_frames_keep_their_order() {
    let (one, two) = pair(&ChannelHub::new());
    thread::scope(|scope| {
        for t in 0..4u8 {
            let transport = &one.transport;
            scope.spawn(move || {
                for i in 0..2000u32 {
                    let bytes = [&[t][..], &i.to_be_bytes()].concat();
                    transport.send(TWO, Frame::from(Bytes::from(bytes))).unwrap();
                }
            });
        }
    });
    let frames = two.heard.frames();
    assert_eq!(frames.len(), 8000);
    for t in 0..4 {
        assert!(frames.iter().filter(|frame| frame[0] == t).is_sorted());
    }
}

#[test]
fn a_receiver_that_panics_leaves_the_thread_able_to_send() {
    let (one, two) = pair(&ChannelHub::new());
    two.heard.on_frame(|_, frame| assert_ne!(&frame[..], b"bad", "on purpose"));
    let transport = Arc::clone(&one.transport);
    thread::spawn(move || {
        let bad = || transport.send(TWO, Frame::from(Bytes::from_static(b"bad")));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(bad)).is_err());
        transport.send(TWO, Frame::from(Bytes::from_static(b"good"))).unwrap();
        transport.stop();
    })
    .join()
    .unwrap();
    assert_eq!(two.heard.frames(), [&b"good"[..]]);
}

#[test]
fn nothing_is_delivered_after_stop_and_stop_may_be_called_from_inside() {
    let hub = ChannelHub::new();
    let (one, two) = pair(&hub);
    let (entered, inside) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    two.heard.on_frame(move |_, frame| {
        if &frame[..] == b"slow" {
            entered.send(()).unwrap();
            released.lock().recv().unwrap();
        }
    });
    let sender = Arc::clone(&one.transport);
    let sending = thread::spawn(move || sender.send(TWO, Frame::from(Bytes::from_static(b"slow"))).unwrap());
    inside.recv_timeout(PATIENCE).unwrap();
    let (stopping, heard) = (Arc::clone(&two.transport), Arc::clone(&two.heard));
    let stopped = thread::spawn(move || {
        stopping.stop();
        heard.frames().len()
    });
    // Whether it stops before or after this: the delivery that is under way is over when stop returns.
    release.send(()).unwrap();
    assert_eq!(stopped.join().unwrap(), 1);
    sending.join().unwrap();

    let three = member(&hub, NodeId(3), "three");
    three.transport.set_peer(ONE, Some("inproc://one")).unwrap();
    one.transport.set_peer(NodeId(3), Some("inproc://three")).unwrap();
    let own = Arc::clone(&three.transport);
    three.heard.on_frame(move |_, _| own.stop());
    one.transport.send(NodeId(3), Frame::new()).unwrap();
    assert!(one.transport.send(NodeId(3), Frame::new()).is_err());
}

#[test]
fn a_member_that_is_gone_does_not_take_its_successor_of_the_same_name_with_it() {
    let hub = ChannelHub::new();
    let (one, two) = pair(&hub);
    two.transport.stop();
    let successor = member(&hub, TWO, "two");
    successor.transport.set_peer(ONE, Some("inproc://one")).unwrap();
    assert_eq!(code(two.transport.send(ONE, Frame::new())), ErrorCode::DESTROY);
    drop(two);
    one.transport.send(TWO, Frame::from(pattern(10, 1))).unwrap();
    assert_eq!(successor.heard.frames().len(), 1);
}
