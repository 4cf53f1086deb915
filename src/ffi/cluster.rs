//! Nodes, their quorum, leaders and replicas.

use super::buf::kafkalog_buf_t;
use super::engine::kafkalog_engine_t;
use super::error::kafkalog_error_t;
use super::guard::{borrow_or_none, guard, guard_new};
use super::host::{kafkalog_transport_vtable_t, Host};
use super::kafkalog_code_t;
use super::pointers::{array, duration, invalid, output, partition, text, Signed};
use super::tplist::{kafkalog_tplist_t, Entry};
use crate::{ElectionType, ErrorCode, LeaderEpoch, NodeId, NodeSeat, Result, TopicPartition};
use std::collections::BTreeMap;
use std::ffi::c_char;

/// For kafkalog_cluster_elect_leaders(): the first replica of each partition, where it is in sync and does not lead.
pub const KAFKALOG_ELECTION_PREFERRED: i32 = 0;
/// For kafkalog_cluster_elect_leaders(): any replica that is there, where `unclean.leader.election.enable` allows it and nobody leads. What
/// it lacks is lost.
pub const KAFKALOG_ELECTION_UNCLEAN: i32 = 1;

/// For kafkalog_node_set_seat(): nothing to do with the metadata quorum.
pub const KAFKALOG_SEAT_NONE: i32 = 0;
/// For kafkalog_node_set_seat(): votes.
pub const KAFKALOG_SEAT_VOTER: i32 = 1;
/// For kafkalog_node_set_seat(): gets the metadata and does not vote.
pub const KAFKALOG_SEAT_LEARNER: i32 = 2;

fn node(number: i32) -> Result<NodeId> {
    u32::try_from(number).map(NodeId).map_err(|_| invalid(format!("node_id is {number}; legal are 0 and more")))
}

/// Puts a network of the host's under an engine that was opened with `listeners` of this scheme, and starts it. `tcp://`, `tls://`, `unix://`
/// and `inproc://` need no registration.
///
/// `*vt` is copied; what it points to stays the host's. After success `release` is called exactly once, at the latest when the engine
/// and all its children are destroyed. After a failure nothing of it is kept and `release` is not called; an inbox that `start` was
/// given is released by the host all the same. [MT], blocks for the host's functions. Codes: _STATE (the scheme has its transport
/// already), _ABI (`struct_size`), _TRANSPORT_HOST (`start` failed), _INVALID_ARG (also: another scheme), _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_transport_register(
    e: *mut kafkalog_engine_t,
    scheme: *const c_char,
    vt: *const kafkalog_transport_vtable_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let (scheme, host) = (text(scheme, "scheme")?, Host::of(vt)?);
            handle.core.alive()?.host_transport(scheme)?.register(host)
        })
    }
}

/// Listens for other nodes and for clients at one more address, such as "tcp://0.0.0.0:0". `*bound_url` is the one that can be
/// dialled, with a real port.
///
/// The caller ends `*bound_url` with kafkalog_buf_destroy(). [MT], never blocks for long. Codes: _TRANSPORT_HOST (the system refuses),
/// _INVALID_ARG, _STATE (an engine alone, or one that does not listen on sockets), _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_node_listen(
    e: *mut kafkalog_engine_t,
    url: *const c_char,
    bound_url: *mut *mut kafkalog_buf_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(e, bound_url, err, |handle| {
            let url = text(url, "url")?;
            Ok(kafkalog_buf_t::new(handle.core.alive()?.engine.listen(url)?))
        })
    }
}

/// Makes another node known under an address before the metadata of the cluster name it; or says where it has moved to, when they do not
/// know that yet. What they say later goes before this. A node that joins over tcp://, tls://, unix:// or inproc:// needs no such call:
/// whoever names the cluster and proves to know its secret is let in, and its registration says where it is. One that was removed by
/// kafkalog_node_remove() needs it; so does every one with `controller.mode=static`, on each node.
///
/// [MT], never blocks for long. Codes: _STATE (an engine alone), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_node_add(
    e: *mut kafkalog_engine_t,
    node_id: i32,
    url: *const c_char,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let url = text(url, "url")?;
            handle.core.alive()?.engine.add_node(node(node_id)?, url)
        })
    }
}

/// Forgets another node, until the metadata of the cluster name it anew: its connection ends, and it is not let in. To move what it has away for good:
/// kafkalog_node_decommission().
///
/// [MT], never blocks for long. Codes: _STATE (an engine alone), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_node_remove(
    e: *mut kafkalog_engine_t,
    node_id: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe { guard(e, err, |handle| handle.core.alive()?.engine.remove_node(node(node_id)?)) }
}

/// Moves every replica away from a node, for good. `*replicas_left` (NULL: not interested) says how many are still to be moved; call it
/// again until it is 0.
///
/// [MT], blocks for the controller's answer, up to `timeout_ms`. Codes: NOT_CONTROLLER (41), REQUEST_TIMED_OUT (7), BROKER_ID_NOT_REGISTERED (102),
/// _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_node_decommission(
    e: *mut kafkalog_engine_t,
    node_id: i32,
    replicas_left: *mut i64,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let limit = duration(timeout_ms)?;
            let left = handle.core.alive()?.engine.within(limit).decommission(node(node_id)?)?;
            if !replicas_left.is_null() {
                *output(replicas_left, "replicas_left")? = left.signed();
            }
            Ok(())
        })
    }
}

/// Gives a node its seat in the metadata quorum: KAFKALOG_SEAT_VOTER, _LEARNER or _NONE. One change at a time. Whoever is registered gets
/// the metadata as a learner by itself; so one that is to have no seat at all has to be closed first, or comes back as a learner.
///
/// [MT], blocks until the change is committed, up to `timeout_ms`. Codes: NOT_CONTROLLER (41), REQUEST_TIMED_OUT (7), INVALID_REQUEST (42), _STATE (an
/// engine alone), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_node_set_seat(
    e: *mut kafkalog_engine_t,
    node_id: i32,
    seat: i32,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let limit = duration(timeout_ms)?;
            let seat = match seat {
                KAFKALOG_SEAT_NONE => NodeSeat::None,
                KAFKALOG_SEAT_VOTER => NodeSeat::Voter,
                KAFKALOG_SEAT_LEARNER => NodeSeat::Learner,
                _ => return Err(invalid(format!("seat is {seat}; legal are the KAFKALOG_SEAT_ constants"))),
            };
            handle.core.alive()?.engine.within(limit).change_voters(node(node_id)?, seat)
        })
    }
}

/// Nodes, controller and metadata quorum, as this node sees them, as a JSON object. Fields are only ever added:
///
/// {"cluster_id": "..", "controller": 1, "nodes": [{"id": 1, "address": "tcp://a:9301", "rack": null, "is_fenced": false,
/// "is_shutting_down": false, "epoch": 7}], "quorum": {"leader": 1, "leader_epoch": 3, "voters": [1, 2, 3], "learners": [],
/// "metadata_offset": 99, "replicas": [{"node": 1, "log_end": 100, "is_voter": true}]}}
///
/// The caller ends `*json` with kafkalog_buf_destroy(). [MT], never blocks for long. Codes: _STATE (an engine alone), _CLOSED, _FATAL,
/// _INVALID_ARG.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_cluster_describe(
    e: *const kafkalog_engine_t,
    json: *mut *mut kafkalog_buf_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(e, json, err, |handle| {
            Ok(kafkalog_buf_t::new(handle.core.alive()?.engine.describe_cluster()?.to_json()))
        })
    }
}

/// Elects leaders: `type` is KAFKALOG_ELECTION_PREFERRED or KAFKALOG_ELECTION_UNCLEAN. `partitions` (NULL: all) gets the code of each
/// partition: 0, ELECTION_NOT_NEEDED (84), PREFERRED_LEADER_NOT_AVAILABLE (80), ELIGIBLE_LEADERS_NOT_AVAILABLE (83),
/// UNKNOWN_TOPIC_OR_PARTITION (3).
///
/// The list stays the caller's. [MT], blocks until the elections are committed, up to `timeout_ms`. Codes: NOT_CONTROLLER (41), REQUEST_TIMED_OUT (7), _STATE (an
/// engine alone), _REENTRANT (the list is in use), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_cluster_elect_leaders(
    e: *mut kafkalog_engine_t,
    election: i32,
    partitions: *mut kafkalog_tplist_t,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let limit = duration(timeout_ms)?;
            let kind = match election {
                KAFKALOG_ELECTION_PREFERRED => ElectionType::Preferred,
                KAFKALOG_ELECTION_UNCLEAN => ElectionType::Unclean,
                _ => {
                    return Err(invalid(format!("election is {election}; legal are the KAFKALOG_ELECTION_ constants")))
                }
            };
            let engine = handle.core.alive()?.engine.within(limit);
            let Some(list) = borrow_or_none(partitions, "partitions")? else {
                return engine.elect_leaders(kind, None).map(drop);
            };
            let mut entries = list.write()?;
            let asked: Vec<TopicPartition> = entries.iter().map(Entry::topic_partition).collect::<Result<_>>()?;
            let outcomes: BTreeMap<TopicPartition, Result<()>> = engine
                .elect_leaders(kind, Some(&asked))?
                .into_iter()
                .map(|outcome| (outcome.partition, outcome.result))
                .collect();
            for (entry, id) in entries.iter_mut().zip(&asked) {
                entry.code = match outcomes.get(id) {
                    Some(Ok(())) => 0,
                    Some(Err(error)) => error.code().0,
                    None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0,
                };
            }
            Ok(())
        })
    }
}

/// Moves the replicas of a partition to these nodes, the first of which becomes the preferred leader; `n` 0 takes back a move that is
/// not finished. The move goes on after the call: kafkalog_replica_status() shows it.
///
/// The array is copied. [MT], blocks until the decision is committed, up to `timeout_ms`. Codes: NOT_CONTROLLER (41), REQUEST_TIMED_OUT (7),
/// UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_REPLICA_ASSIGNMENT (39), NO_REASSIGNMENT_IN_PROGRESS (85), _STATE (an engine alone),
/// _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_replica_reassign(
    e: *mut kafkalog_engine_t,
    topic: *const c_char,
    partition_id: i32,
    nodes: *const i32,
    n: usize,
    timeout_ms: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let limit = duration(timeout_ms)?;
            let (topic, partition) = (text(topic, "topic")?, partition(partition_id)?);
            let nodes: Vec<NodeId> = array(nodes, n, "nodes")?.iter().map(|id| node(*id)).collect::<Result<_>>()?;
            let replicas = Some(nodes).filter(|nodes| !nodes.is_empty());
            handle.core.alive()?.engine.within(limit).reassign(topic, partition, replicas)
        })
    }
}

/// Appoints the leader of a partition (`node_id` -1: nobody) in `epoch`: with `controller.mode=static`, where no quorum decides. To be
/// called on every node that has a replica of it or sends to it, with the same words; saying them again does nothing. On return this
/// node has written it down and obeys.
///
/// Epochs are the program's, begin with 1, and only grow: a node that has seen one takes none that is lower, also after it was opened
/// again, and a leader that was opened again leads only when it is appointed in a higher one. Nothing that acks=all acknowledged is lost
/// if the program, for a partition with R replicas and `min.insync.replicas` M, (1) first appoints nobody, in a higher epoch, on at least
/// R-M+1 of the replicas' nodes, (2) asks each of these for its own line of kafkalog_replica_status(), and (3) appoints, in a still
/// higher epoch, the one with the highest `last_leader_epoch`, of several the one with the highest `log_end`.
///
/// [MT], may block for a sync. Codes: FENCED_LEADER_EPOCH (74), UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_REQUEST (42: that node has no
/// replica of it), KAFKA_STORAGE_ERROR (56), _STATE (an engine alone, or a quorum decides), _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_replica_set_leader(
    e: *mut kafkalog_engine_t,
    topic: *const c_char,
    partition_id: i32,
    node_id: i32,
    epoch: i32,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(e, err, |handle| {
            let (topic, partition) = (text(topic, "topic")?, partition(partition_id)?);
            let leader = if node_id == -1 { None } else { Some(node(node_id)?) };
            let Ok(epoch) = u32::try_from(epoch).map(LeaderEpoch) else {
                return Err(invalid(format!("epoch is {epoch}; legal are 0 and more")));
            };
            handle.core.alive()?.engine.set_leader(topic, partition, leader, epoch)
        })
    }
}

/// Leader, epoch, replicas, ISR and how far each replica is, as a JSON object. Its leader knows most. Fields are only ever added:
///
/// {"topic": "orders", "partition": 0, "leader": 1, "leader_epoch": 4, "replicas": [1, 2, 3], "isr": [1, 2], "elr": [],
/// "offline": [3], "high_watermark": 99, "states": [{"node": 1, "log_start": 0, "log_end": 100, "vouched": 100,
/// "last_leader_epoch": 4, "lag_records": 0, "lag_ms": 0, "is_caught_up": true}]}
///
/// `last_leader_epoch`, the last epoch that a log knows of, each node says of its own alone; null elsewhere.
///
/// The caller ends `*json` with kafkalog_buf_destroy(). [MT], may block for the leader's answer. Codes: UNKNOWN_TOPIC_OR_PARTITION (3),
/// _INVALID_ARG, _CLOSED, _FATAL.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_replica_status(
    e: *const kafkalog_engine_t,
    topic: *const c_char,
    partition_id: i32,
    json: *mut *mut kafkalog_buf_t,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(e, json, err, |handle| {
            let (topic, partition) = (text(topic, "topic")?, partition(partition_id)?);
            let replicas = handle.core.alive()?.engine.describe_replicas(topic, partition)?;
            Ok(kafkalog_buf_t::new(replicas.to_json(&TopicPartition::new(topic, partition))))
        })
    }
}
