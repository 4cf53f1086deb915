//! Who votes: one node's seat changes at a time, as an entry of the log.

use super::fields::Reader;
use super::raft_convert::{nodes_of, raft_id};
use super::request::NodeSeat;
use crate::error::Result;
use crate::types::NodeId;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState};

/// Who votes, and who only gets the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Membership {
    pub voters: Vec<NodeId>,
    pub learners: Vec<NodeId>,
}

pub(super) fn membership_of(state: &ConfState) -> Membership {
    Membership { voters: nodes_of(&state.voters), learners: nodes_of(&state.learners) }
}

pub(super) fn conf_change(node: NodeId, seat: NodeSeat) -> ConfChangeV2 {
    let mut single = ConfChangeSingle { node_id: raft_id(node), ..Default::default() };
    single.set_change_type(match seat {
        NodeSeat::Voter => ConfChangeType::AddNode,
        NodeSeat::Learner => ConfChangeType::AddLearnerNode,
        NodeSeat::None => ConfChangeType::RemoveNode,
    });
    let mut change = ConfChangeV2::default();
    change.set_changes(vec![single].into());
    change
}

/// A membership entry: seat u8 (0 none, 1 voter, 2 learner), node u32.
pub(super) fn encode_seat(node: NodeId, seat: NodeSeat) -> Vec<u8> {
    let seat = match seat {
        NodeSeat::None => 0,
        NodeSeat::Voter => 1,
        NodeSeat::Learner => 2,
    };
    [&[seat][..], &node.0.to_be_bytes()].concat()
}

pub(super) fn decode_seat(bytes: &[u8]) -> Result<(NodeId, NodeSeat)> {
    let mut r = Reader::new(bytes, "membership entry");
    let seat = match r.u8()? {
        0 => NodeSeat::None,
        1 => NodeSeat::Voter,
        2 => NodeSeat::Learner,
        other => return Err(r.corrupt(format_args!("{other} is no seat"))),
    };
    let node = r.node()?;
    r.end()?;
    Ok((node, seat))
}
