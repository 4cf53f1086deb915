//! Between our types and the `raft` crate's. Node n is raft's n + 1, because raft has no 0.

use super::raft_message::{EntryKind, HardState, RaftEntry, RaftMessage, RaftSnapshot, RaftVerb};
use crate::types::NodeId;
use raft::eraftpb::{self, EntryType, MessageType};

pub(super) fn raft_id(node: NodeId) -> u64 {
    u64::from(node.0) + 1
}

pub(super) fn node_of(id: u64) -> Option<NodeId> {
    id.checked_sub(1).and_then(|id| u32::try_from(id).ok()).map(NodeId)
}

pub(super) fn nodes_of(ids: &[u64]) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = ids.iter().filter_map(|id| node_of(*id)).collect();
    nodes.sort_unstable();
    nodes
}

pub(super) fn entry_to_raft(entry: &RaftEntry) -> eraftpb::Entry {
    let mut out = eraftpb::Entry { term: entry.term, index: entry.index, ..Default::default() };
    match entry.kind {
        EntryKind::Records => out.data = entry.data.clone(),
        // raft reads nothing but the type of a membership entry once it is in the log; what it says is ours to read.
        EntryKind::Membership => {
            out.set_entry_type(EntryType::EntryConfChangeV2);
            out.context = entry.data.clone();
        }
    }
    out
}

pub(super) fn entry_from_raft(entry: &eraftpb::Entry) -> RaftEntry {
    let is_records = entry.get_entry_type() == EntryType::EntryNormal;
    let (kind, data) =
        if is_records { (EntryKind::Records, &entry.data) } else { (EntryKind::Membership, &entry.context) };
    RaftEntry { index: entry.index, term: entry.term, kind, data: data.clone() }
}

pub(super) fn hard_state_to_raft(state: HardState) -> eraftpb::HardState {
    eraftpb::HardState {
        term: state.term,
        vote: state.vote.map_or(0, raft_id),
        commit: state.commit,
        ..Default::default()
    }
}

pub(super) fn hard_state_from_raft(state: &eraftpb::HardState) -> HardState {
    HardState { term: state.term, vote: node_of(state.vote), commit: state.commit }
}

pub(super) fn snapshot_to_raft(snapshot: &RaftSnapshot) -> eraftpb::Snapshot {
    let mut out = eraftpb::Snapshot { data: snapshot.records.clone(), ..Default::default() };
    let metadata = out.mut_metadata();
    metadata.index = snapshot.index;
    metadata.term = snapshot.term;
    let conf = metadata.mut_conf_state();
    conf.voters = snapshot.voters.iter().map(|node| raft_id(*node)).collect();
    conf.learners = snapshot.learners.iter().map(|node| raft_id(*node)).collect();
    out
}

pub(super) fn snapshot_from_raft(snapshot: &eraftpb::Snapshot) -> RaftSnapshot {
    let metadata = snapshot.get_metadata();
    RaftSnapshot {
        index: metadata.index,
        term: metadata.term,
        voters: nodes_of(&metadata.get_conf_state().voters),
        learners: nodes_of(&metadata.get_conf_state().learners),
        records: snapshot.data.clone(),
    }
}

const VERBS: [(RaftVerb, MessageType); 10] = [
    (RaftVerb::Append, MessageType::MsgAppend),
    (RaftVerb::AppendResponse, MessageType::MsgAppendResponse),
    (RaftVerb::RequestVote, MessageType::MsgRequestVote),
    (RaftVerb::RequestVoteResponse, MessageType::MsgRequestVoteResponse),
    (RaftVerb::Snapshot, MessageType::MsgSnapshot),
    (RaftVerb::Heartbeat, MessageType::MsgHeartbeat),
    (RaftVerb::HeartbeatResponse, MessageType::MsgHeartbeatResponse),
    (RaftVerb::TimeoutNow, MessageType::MsgTimeoutNow),
    (RaftVerb::RequestPreVote, MessageType::MsgRequestPreVote),
    (RaftVerb::RequestPreVoteResponse, MessageType::MsgRequestPreVoteResponse),
];

/// `None`: a message that never travels.
pub(super) fn message_from_raft(message: &eraftpb::Message) -> Option<RaftMessage> {
    let verb = VERBS.iter().find(|(_, kind)| *kind == message.get_msg_type())?.0;
    Some(RaftMessage {
        verb,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        commit: message.commit,
        commit_term: message.commit_term,
        request_snapshot: message.request_snapshot,
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.context.clone(),
        entries: message.entries.iter().map(entry_from_raft).collect(),
        snapshot: (!message.get_snapshot().is_empty()).then(|| snapshot_from_raft(message.get_snapshot())),
    })
}

pub(super) fn message_to_raft(from: NodeId, to: NodeId, message: &RaftMessage) -> eraftpb::Message {
    let mut out = eraftpb::Message {
        from: raft_id(from),
        to: raft_id(to),
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        commit: message.commit,
        commit_term: message.commit_term,
        request_snapshot: message.request_snapshot,
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.context.clone(),
        ..Default::default()
    };
    let kind = VERBS.iter().find(|(verb, _)| *verb == message.verb).expect("every verb has its kind").1;
    out.set_msg_type(kind);
    out.set_entries(message.entries.iter().map(entry_to_raft).collect());
    if let Some(snapshot) = &message.snapshot {
        out.set_snapshot(snapshot_to_raft(snapshot));
    }
    out
}
