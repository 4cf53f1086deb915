//! All messages, their numbers, and the way to a frame and back.

use super::consumer_fetch::{ConsumerFetchRequest, ConsumerFetchResponse};
use super::envelope::{CorrelationId, Envelope, ENVELOPE_BYTES, WIRE_VERSION};
use super::field::Field;
use super::fields::{Parts, Reader, Writer};
use super::metadata::{MetadataRequest, MetadataResponse};
use super::offsets::{DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse};
use super::produce::{ProduceRequest, ProduceResponse};
use super::replica_fetch::{ReplicaFetchRequest, ReplicaFetchResponse};
use super::replicas::{DescribeReplicasRequest, DescribeReplicasResponse};
#[cfg(feature = "quorum")]
use crate::controller::RaftMessage;
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::error::{Error, ErrorCode, Result};
use crate::transport::Frame;
use bytes::Bytes;

/// What a frame carries.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Request {
        /// `None`: nobody waits for an answer.
        correlation: Option<CorrelationId>,
        request: Request,
    },
    Response {
        /// That of the request.
        correlation: CorrelationId,
        response: Response,
    },
    /// Of the metadata quorum. One way.
    #[cfg(feature = "quorum")]
    Raft(RaftMessage),
}

/// A response that says that there is none, to any request.
const FAILED: u8 = 0;
#[cfg(feature = "quorum")]
const RAFT: u8 = 8;
const KIND_MAX: u8 = 9;

macro_rules! messages {
    ($($kind:literal $name:ident($request:ident, $response:ident), $what:literal;)*) => {
        #[derive(Clone, Debug)]
        pub(crate) enum Request { $($name($request),)* }

        #[derive(Clone, Debug)]
        pub(crate) enum Response {
            /// The request as a whole had no success: a session that is not known, a message that was not understood.
            Failed(Error),
            $($name($response),)*
        }

        impl Request {
            fn kind(&self) -> u8 {
                match self { $(Request::$name(_) => $kind,)* }
            }

            fn put(&self, w: &mut Writer) {
                match self { $(Request::$name(body) => body.put(w),)* }
            }

            fn get(envelope: Envelope, body: Parts) -> Result<Request> {
                match envelope.kind {
                    $($kind => whole(body, concat!($what, " request")).map(Request::$name),)*
                    _ => Err(unknown(envelope)),
                }
            }
        }

        impl Response {
            fn kind(&self) -> u8 {
                match self { Response::Failed(_) => FAILED, $(Response::$name(_) => $kind,)* }
            }

            fn put(&self, w: &mut Writer) {
                match self { Response::Failed(error) => error.put(w), $(Response::$name(body) => body.put(w),)* }
            }

            fn get(envelope: Envelope, body: Parts) -> Result<Response> {
                match envelope.kind {
                    FAILED => whole(body, "failure").map(Response::Failed),
                    $($kind => whole(body, concat!($what, " response")).map(Response::$name),)*
                    _ => Err(unknown(envelope)),
                }
            }
        }
    };
}
// Boxes are not worth it: a message is decoded, routed and taken apart in one go.
messages! {
    1 ReplicaFetch(ReplicaFetchRequest, ReplicaFetchResponse), "replica fetch";
    2 Controller(ControllerRequest, ControllerResponse), "controller";
    3 Produce(ProduceRequest, ProduceResponse), "produce";
    4 ConsumerFetch(ConsumerFetchRequest, ConsumerFetchResponse), "consumer fetch";
    5 ListOffsets(ListOffsetsRequest, ListOffsetsResponse), "list offsets";
    6 DeleteRecords(DeleteRecordsRequest, DeleteRecordsResponse), "delete records";
    7 Metadata(MetadataRequest, MetadataResponse), "metadata";
    9 DescribeReplicas(DescribeReplicasRequest, DescribeReplicasResponse), "describe replicas";
}

/// The frame of a message. Long record batches become parts of the frame and are not copied.
///
/// # Errors
/// MESSAGE_TOO_LARGE: something in it is above its limit (`limits.rs`). Whether the whole frame is not too long, the transport says.
pub(crate) fn encode(message: &Message) -> Result<Frame> {
    let mut w = Writer::default();
    match message {
        Message::Request { correlation, request } => {
            Envelope::new(request.kind(), false, *correlation).put(&mut w);
            request.put(&mut w);
        }
        Message::Response { correlation, response } => {
            Envelope::new(response.kind(), true, Some(*correlation)).put(&mut w);
            response.put(&mut w);
        }
        #[cfg(feature = "quorum")]
        Message::Raft(message) => {
            Envelope::new(RAFT, false, None).put(&mut w);
            w.raw(&message.encode());
        }
    }
    w.into_frame()
}

/// The message of a frame, all of it. Record batches are slices of `frame`, which stays in memory as long as one of them does.
///
/// # Errors
/// UNSUPPORTED_VERSION: a newer sender, or one with other features. CORRUPT_MESSAGE: anything else that does not fit. With
/// [`Envelope::read`] a request can be answered all the same.
pub(crate) fn decode(frame: Bytes) -> Result<Message> {
    let envelope = Envelope::read(&frame)?;
    decode_body(envelope, || Parts::from(frame.slice(ENVELOPE_BYTES..)))
}

/// As [`decode`], of a frame that has come as it was sent: its record batches are those of the sender.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_parts(frame: Frame) -> Result<Message> {
    // Only a stranger cuts an envelope.
    let is_cut = frame.parts().first().is_some_and(|first| first.len() < ENVELOPE_BYTES);
    let frame = if is_cut { Frame::from(frame.into_joined()) } else { frame };
    let envelope = Envelope::of(&frame)?;
    decode_body(envelope, || Parts::behind(frame, ENVELOPE_BYTES))
}

fn decode_body(envelope: Envelope, body: impl FnOnce() -> Parts) -> Result<Message> {
    envelope.check_version()?;
    let body = body();
    match (envelope.is_response, envelope.kind, envelope.correlation) {
        #[cfg(feature = "quorum")]
        (false, RAFT, None) => RaftMessage::decode(&body.into_joined()).map(Message::Raft),
        #[cfg(feature = "quorum")]
        (false, RAFT, Some(_)) => Err(Error::new(ErrorCode::CORRUPT_MESSAGE, "a quorum message that wants an answer")),
        (false, _, correlation) => Ok(Message::Request { correlation, request: Request::get(envelope, body)? }),
        (true, _, Some(correlation)) => Ok(Message::Response { correlation, response: Response::get(envelope, body)? }),
        (true, _, None) => Err(Error::new(ErrorCode::CORRUPT_MESSAGE, "a response to nothing")),
    }
}

/// A body, to its last byte.
fn whole<T: Field>(body: Parts, what: &'static str) -> Result<T> {
    let mut r = Reader::new(body, what);
    let value = T::get(&mut r)?;
    r.end()?;
    Ok(value)
}

fn unknown(envelope: Envelope) -> Error {
    let Envelope { version, kind, is_response, .. } = envelope;
    let direction = if is_response { "response" } else { "request" };
    let text = format!(
        "a {direction} of type {kind} in wire version {version}; this program knows types up to {KIND_MAX} in version {WIRE_VERSION}"
    );
    Error::new(ErrorCode::UNSUPPORTED_VERSION, text)
}
