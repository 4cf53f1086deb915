use super::fake::FakeTransport;
use crate::client::{send_one_way, Calls, CALLS_MAX};
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::transport::{ChannelHub, Frame, Inbox, Receive, Transport, CLIENT_ID_MIN};
use crate::types::NodeId;
use crate::wire::{decode, encode, CorrelationId, Message, MetadataRequest, MetadataResponse, Request, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};

const NODE: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

fn question() -> Request {
    Request::Metadata(MetadataRequest { topics: None })
}

fn answer(metadata_offset: u64) -> Response {
    let cluster = crate::transport::ClusterId::default();
    Response::Metadata(MetadataResponse { cluster, controller: None, metadata_offset, nodes: vec![], topics: vec![] })
}

/// Which call, and the offset of its answer or the error's number.
type Outcome = (u32, std::result::Result<u64, ErrorCode>);

/// What was called back.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Outcome>>>);

impl Heard {
    fn done(&self, call: u32) -> impl FnOnce(Result<Response>) + Send + 'static {
        let heard = self.clone();
        move |outcome| {
            let outcome = match outcome {
                Ok(Response::Metadata(answer)) => Ok(answer.metadata_offset),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error.code()),
            };
            heard.0.lock().push((call, outcome));
        }
    }

    fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.0.lock())
    }
}

fn number(of: u64) -> CorrelationId {
    CorrelationId(NonZeroU64::new(of).unwrap())
}

#[test]
fn an_answer_is_given_once_however_often_it_comes_and_only_if_it_comes_from_the_node_that_was_asked() {
    let (calls, transport, heard) = (Calls::new(), FakeTransport::new(), Heard::default());
    for call in 1..=2 {
        calls.call(&*transport, NODE, question(), Instant(10), heard.done(call));
    }
    let asked: Vec<_> = transport.take_all().iter().map(|sent| (sent.to, sent.correlation)).collect();
    assert_eq!(asked, [(NODE, Some(number(1))), (NODE, Some(number(2)))]);
    calls.handle_response(OTHER, number(1), answer(7));
    calls.handle_response(NODE, number(3), answer(7));
    assert_eq!(heard.take(), []);
    calls.handle_response(NODE, number(2), answer(8));
    calls.handle_response(NODE, number(2), answer(9));
    assert_eq!(heard.take(), [(2, Ok(8))]);
    let refused = Error::new(ErrorCode::UNSUPPORTED_VERSION, "what?");
    calls.handle_response(NODE, number(1), Response::Failed(refused));
    assert_eq!(heard.take(), [(1, Err(ErrorCode::UNSUPPORTED_VERSION))]);
    assert_eq!((calls.count(), calls.poll_timeout(), calls.tick(Instant(99))), (0, None, None));
    assert_eq!(heard.take(), []);
}

#[test]
fn deadlines_are_kept_in_their_order_and_a_late_answer_is_ignored() {
    let (calls, transport, heard) = (Calls::new(), FakeTransport::new(), Heard::default());
    for (call, deadline) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
        calls.call(&*transport, NODE, question(), Instant(deadline), heard.done(call));
    }
    assert_eq!(calls.poll_timeout(), Some(Instant(10)));
    assert_eq!(calls.tick(Instant(9)), Some(Instant(10)));
    assert_eq!(calls.tick(Instant(20)), Some(Instant(30)));
    let late = Err(ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(heard.take(), [(2, late), (4, late), (3, late)]);
    calls.handle_response(NODE, number(3), answer(1));
    assert_eq!(heard.take(), []);
    calls.handle_response(NODE, number(1), answer(5));
    assert_eq!((heard.take(), calls.poll_timeout()), (vec![(1, Ok(5))], None));
}

#[test]
fn what_a_lost_node_was_asked_fails_and_what_others_were_asked_does_not() {
    let (calls, transport, heard) = (Calls::new(), FakeTransport::new(), Heard::default());
    for (call, to) in [(1, NODE), (2, OTHER), (3, NODE)] {
        calls.call(&*transport, to, question(), Instant(10), heard.done(call));
    }
    calls.handle_peer_down(NODE);
    calls.handle_peer_down(NODE);
    let lost = Err(ErrorCode::NETWORK_EXCEPTION);
    assert_eq!(heard.take(), [(1, lost), (3, lost)]);
    calls.handle_response(OTHER, number(2), answer(4));
    assert_eq!(heard.take(), [(2, Ok(4))]);
}

#[test]
fn what_cannot_be_sent_is_answered_at_once_with_a_reason_that_says_whether_to_try_again() {
    let (calls, transport, heard) = (Calls::new(), FakeTransport::new(), Heard::default());
    let cases = [
        (ErrorCode::BROKER_NOT_AVAILABLE, ErrorCode::NETWORK_EXCEPTION),
        (ErrorCode::NETWORK_EXCEPTION, ErrorCode::NETWORK_EXCEPTION),
        (ErrorCode::TRANSPORT_HOST, ErrorCode::NETWORK_EXCEPTION),
        (ErrorCode::QUEUE_FULL, ErrorCode::QUEUE_FULL),
        (ErrorCode::MESSAGE_TOO_LARGE, ErrorCode::MESSAGE_TOO_LARGE),
        (ErrorCode::DESTROY, ErrorCode::DESTROY),
    ];
    for (said, told) in cases {
        transport.refuse(Some(Error::new(said, "why")));
        calls.call(&*transport, NODE, question(), Instant(10), heard.done(1));
        assert_eq!(heard.take(), [(1, Err(told))]);
        let refused = send_one_way(&*transport, NODE, question()).unwrap_err();
        assert_eq!(refused.code(), told);
        assert!(refused.message().contains("asking 1") && refused.message().contains("why"), "{refused}");
    }
    assert_eq!((calls.count(), calls.poll_timeout()), (0, None));
    transport.refuse(None);
    send_one_way(&*transport, NODE, question()).unwrap();
    assert_eq!(transport.take_sent().unwrap().correlation, None);
}

#[test]
fn so_many_calls_may_wait_and_one_more_is_refused_until_one_is_answered() {
    let (calls, transport, heard) = (Calls::new(), FakeTransport::new(), Heard::default());
    for _ in 0..CALLS_MAX {
        calls.call(&*transport, NODE, question(), Instant(10), |_| {});
    }
    calls.call(&*transport, NODE, question(), Instant(10), heard.done(1));
    assert_eq!(heard.take(), [(1, Err(ErrorCode::QUEUE_FULL))]);
    assert_eq!(transport.take_all().len(), CALLS_MAX, "what is refused is not sent");
    calls.handle_response(NODE, number(77), answer(1));
    calls.call(&*transport, NODE, question(), Instant(10), heard.done(2));
    assert_eq!((heard.take(), calls.count()), (vec![], CALLS_MAX));
}

#[test]
fn whoever_is_called_back_may_call_again_and_the_end_answers_everybody() {
    let (calls, transport, heard) = (Arc::new(Calls::new()), FakeTransport::new(), Heard::default());
    let (again, over, last) = (Arc::downgrade(&calls), Arc::clone(&transport), heard.done(2));
    calls.call(&*transport, NODE, question(), Instant(10), move |outcome| {
        assert_eq!(outcome.unwrap_err().code(), ErrorCode::REQUEST_TIMED_OUT);
        again.upgrade().expect("it is ticking").call(&*over, NODE, question(), Instant(20), last);
    });
    assert_eq!(calls.tick(Instant(10)), Some(Instant(20)));
    calls.close(&Error::new(ErrorCode::CLOSED, "closed"));
    assert_eq!(heard.take(), [(2, Err(ErrorCode::CLOSED))]);
    calls.call(&*transport, NODE, question(), Instant(30), heard.done(3));
    assert_eq!(heard.take(), [(3, Err(ErrorCode::CLOSED))]);
    let dropped = Calls::new();
    dropped.call(&*transport, NODE, question(), Instant(30), heard.done(4));
    drop(dropped);
    assert_eq!(heard.take(), [(4, Err(ErrorCode::DESTROY))]);
}

#[test]
fn numbers_go_on_from_where_they_are_told_to_begin() {
    let (calls, transport) = (Calls::numbered_from(NonZeroU64::MAX), FakeTransport::new());
    for _ in 0..2 {
        calls.call(&*transport, NODE, question(), Instant(10), |_| {});
    }
    let numbers: Vec<_> = transport.take_all().iter().map(|sent| sent.correlation).collect();
    assert_eq!(numbers, [Some(number(u64::MAX)), Some(number(1))]);
}

/// Answers every question with the sender's number, or leaves it open.
struct Answering {
    transport: OnceLock<Arc<dyn Transport>>,
    is_silent: bool,
}

impl Receive for Answering {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        if self.is_silent {
            return;
        }
        let Message::Request { correlation: Some(correlation), .. } = decode(frame).unwrap() else { panic!() };
        let message = Message::Response { correlation, response: answer(u64::from(from.0)) };
        self.transport.get().unwrap().send(from, encode(&message).unwrap()).unwrap();
    }

    fn peer_state(&self, _peer: NodeId, _up: bool) {}
}

/// A client's end of the hub.
struct Asking {
    calls: Calls,
}

impl Receive for Asking {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        let Message::Response { correlation, response } = decode(frame).unwrap() else { panic!() };
        self.calls.handle_response(from, correlation, response);
    }

    fn peer_state(&self, peer: NodeId, up: bool) {
        if !up {
            self.calls.handle_peer_down(peer);
        }
    }
}

#[test]
fn over_a_channel_the_answer_is_there_when_the_call_returns_and_a_node_that_stops_fails_what_it_was_asked() {
    let hub = ChannelHub::new();
    let start = |name: &str, number: NodeId, is_silent| {
        let transport = Arc::new(hub.transport(name).unwrap());
        let node = Arc::new(Answering { transport: OnceLock::new(), is_silent });
        node.transport.set(Arc::clone(&transport) as Arc<dyn Transport>).unwrap_or_else(|_| panic!());
        transport.start(number, Inbox::new(node)).unwrap();
        transport
    };
    let (_one, two) = (start("one", NODE, false), start("two", OTHER, true));
    let client = Arc::new(Asking { calls: Calls::new() });
    let transport = hub.transport("client").unwrap();
    transport.start(CLIENT_ID_MIN, Inbox::new(client.clone())).unwrap();
    transport.set_peer(NODE, Some("inproc://one")).unwrap();
    transport.set_peer(OTHER, Some("inproc://two")).unwrap();
    let heard = Heard::default();
    client.calls.call(&transport, NODE, question(), Instant(10), heard.done(1));
    assert_eq!(heard.take(), [(1, Ok(u64::from(CLIENT_ID_MIN.0)))]);
    client.calls.call(&transport, OTHER, question(), Instant(10), heard.done(2));
    assert_eq!(heard.take(), []);
    two.stop();
    assert_eq!(heard.take(), [(2, Err(ErrorCode::NETWORK_EXCEPTION))]);
    assert!(transport.send(OTHER, Frame::new()).is_err());
}
