//! Messages of every kind with anything in them.

use super::some_client::some_client_message;
use super::some_controller::{some_controller_request, some_controller_response};
use crate::controller::{EntryKind, RaftEntry, RaftMessage, RaftSnapshot, RaftVerb};
use crate::error::{Error, ErrorCode};
use crate::replication::{Correlation, FetchOutcome, FetchRequest, FetchResponse, NodeEpoch};
use crate::types::{LeaderEpoch, NodeId, Offset};
use crate::wire::*;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::fmt::Debug;
use std::num::NonZeroU64;
use std::sync::Arc;

/// A struct of which each field is anything.
macro_rules! some {
    ($($name:ident -> $type:ident { $($field:ident: $strategy:expr),* $(,)? })*) => {$(
        pub fn $name() -> BoxedStrategy<$type> {
            ($($strategy,)*).prop_map(|($($field,)*)| $type { $($field),* }).boxed()
        }
    )*};
}
pub(super) use some;

pub fn some_text() -> BoxedStrategy<String> {
    prop_oneof!["\\PC{0,9}", Just("x".repeat(TEXT_BYTES_MAX))].boxed()
}
pub fn some_name() -> impl Strategy<Value = Arc<str>> {
    "\\PC{0,9}".prop_map(Arc::from)
}
pub fn some_node() -> impl Strategy<Value = NodeId> {
    any::<u32>().prop_map(NodeId)
}
pub fn some_nodes() -> impl Strategy<Value = Vec<NodeId>> {
    vec(some_node(), 0..4)
}
pub fn some_offset() -> impl Strategy<Value = Offset> {
    any::<u64>().prop_map(Offset)
}
pub fn some_epoch() -> impl Strategy<Value = LeaderEpoch> {
    any::<u32>().prop_map(LeaderEpoch)
}
pub fn some_code() -> impl Strategy<Value = ErrorCode> {
    any::<i32>().prop_map(ErrorCode)
}
pub fn some_error() -> impl Strategy<Value = Error> {
    (some_code(), "\\PC{0,20}", any::<bool>()).prop_map(|(code, text, is_fatal)| {
        if is_fatal {
            Error::fatal(code, text)
        } else {
            Error::new(code, text)
        }
    })
}
/// Short ones, which are copied, and long ones, which are not.
pub fn some_records() -> BoxedStrategy<Bytes> {
    prop_oneof![vec(any::<u8>(), 0..20), (any::<u8>(), 1_000..1_100_usize).prop_map(|(byte, n)| vec![byte; n])]
        .prop_map(Bytes::from)
        .boxed()
}
pub fn result_of<T: Debug + 'static, E: Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
    error: impl Strategy<Value = E> + 'static,
) -> BoxedStrategy<Result<T, E>> {
    prop_oneof![value.prop_map(Ok), error.prop_map(Err)].boxed()
}

fn some_session_id() -> impl Strategy<Value = FetchSessionId> {
    (1..=u32::MAX).prop_map(|id| FetchSessionId(id.try_into().unwrap()))
}
fn some_session() -> BoxedStrategy<FetchSession> {
    let epoch = (1..=i32::MAX as u32).prop_map(|epoch| FetchSessionEpoch::of(epoch).unwrap());
    prop_oneof![
        option::of(some_session_id()).prop_map(|closes| FetchSession::None { closes }),
        option::of(some_session_id()).prop_map(|closes| FetchSession::Open { closes }),
        (some_session_id(), epoch).prop_map(|(id, epoch)| FetchSession::Incremental { id, epoch }),
    ]
    .boxed()
}
fn some_outcome() -> BoxedStrategy<FetchOutcome> {
    prop_oneof![
        some_records().prop_map(FetchOutcome::Records),
        (some_epoch(), some_offset()).prop_map(|(epoch, end_offset)| FetchOutcome::Diverging { epoch, end_offset }),
        some_code().prop_map(FetchOutcome::Error),
    ]
    .boxed()
}

some! {
    some_topic_id_partition -> TopicIdPartition { topic: any::<[u8; 16]>(), partition: any::<u32>() }
    some_fetch -> FetchRequest {
        correlation: any::<u64>().prop_map(Correlation),
        current_leader_epoch: option::of(some_epoch()),
        fetch_offset: some_offset(),
        last_fetched_epoch: option::of(some_epoch()),
        log_start: some_offset(),
        vouched: some_offset(),
        bytes_max: any::<u32>(),
    }
    some_fetched -> FetchResponse {
        correlation: any::<u64>().prop_map(Correlation),
        leader_epoch: some_epoch(),
        high_watermark: some_offset(),
        log_start: some_offset(),
        log_end: some_offset(),
        outcome: some_outcome(),
    }
    some_fetch_partition -> ReplicaFetchPartition { partition: some_topic_id_partition(), fetch: some_fetch() }
    some_fetched_partition -> ReplicaFetchPartitionResponse {
        partition: some_topic_id_partition(),
        fetched: some_fetched(),
    }
    some_replica_fetch_request -> ReplicaFetchRequest {
        node_epoch: any::<u64>().prop_map(NodeEpoch),
        bytes_max: any::<u32>(),
        wait_max_ms: any::<u32>(),
        session: some_session(),
        partitions: vec(some_fetch_partition(), 0..4),
        forgotten: vec(some_topic_id_partition(), 0..4),
    }
    some_replica_fetch_response -> ReplicaFetchResponse {
        session: option::of(some_session_id()),
        partitions: vec(some_fetched_partition(), 0..4),
    }
    some_entry -> RaftEntry {
        index: any::<u64>(),
        term: any::<u64>(),
        kind: select(vec![EntryKind::Records, EntryKind::Membership]),
        data: some_records(),
    }
    some_raft_message -> RaftMessage {
        verb: select(vec![RaftVerb::Append, RaftVerb::Snapshot, RaftVerb::RequestPreVoteResponse]),
        term: any::<u64>(),
        log_term: any::<u64>(),
        index: any::<u64>(),
        commit: any::<u64>(),
        commit_term: any::<u64>(),
        request_snapshot: any::<u64>(),
        reject: any::<bool>(),
        reject_hint: any::<u64>(),
        context: vec(any::<u8>(), 0..17).prop_map(Bytes::from),
        entries: vec(some_entry(), 0..3),
        snapshot: option::of(some_snapshot()),
    }
}

fn some_snapshot() -> impl Strategy<Value = RaftSnapshot> {
    (1..u64::MAX, 1..u64::MAX, 0..9_u32, some_records()).prop_map(|(index, term, first, records)| RaftSnapshot {
        index,
        term,
        voters: vec![NodeId(first), NodeId(first + 1)],
        learners: vec![NodeId(first + 2)],
        records,
    })
}

pub fn some_correlation() -> impl Strategy<Value = CorrelationId> {
    (1..=u64::MAX).prop_map(|id| CorrelationId(NonZeroU64::new(id).unwrap()))
}

pub fn request(of: impl Strategy<Value = Request> + 'static) -> BoxedStrategy<Message> {
    (option::of(some_correlation()), of)
        .prop_map(|(correlation, request)| Message::Request { correlation, request })
        .boxed()
}

pub fn response(of: impl Strategy<Value = Response> + 'static) -> BoxedStrategy<Message> {
    (some_correlation(), of).prop_map(|(correlation, response)| Message::Response { correlation, response }).boxed()
}

pub fn some_message() -> BoxedStrategy<Message> {
    prop_oneof![
        2 => request(some_replica_fetch_request().prop_map(Request::ReplicaFetch)),
        2 => response(some_replica_fetch_response().prop_map(Response::ReplicaFetch)),
        4 => request(some_controller_request().prop_map(Request::Controller)),
        3 => response(some_controller_response().prop_map(Response::Controller)),
        1 => response(some_error().prop_map(Response::Failed)),
        2 => some_raft_message().prop_map(Message::Raft),
        8 => some_client_message(),
    ]
    .boxed()
}

/// The same messages in each run, of at most `bytes_max` bytes each.
pub fn samples(count: usize, bytes_max: usize) -> Vec<Message> {
    let mut runner = TestRunner::deterministic();
    let strategy = some_message();
    let messages = std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current());
    messages.filter(|message| encode(message).unwrap().bytes() <= bytes_max).take(count).collect()
}
