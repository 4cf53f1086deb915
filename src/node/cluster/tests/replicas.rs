//! A partition at its leader and at a follower, with lists for logs.

use super::super::*;
use super::world::{id, EPOCH, EXPIRY, LEADER, MILLI};
use crate::error::ErrorCode;
use crate::replication::{
    FetchOutcome, FetchRequest, FetchResponse, Follower, FollowerSetup, FollowerStep, LogFacts, NodeEpoch, Settled,
};
use crate::time::Instant;
use crate::types::{NodeId, Offset};
use crate::wire::TopicIdPartition;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

/// A record: its offset, and how many bytes follow.
pub fn record(offset: u64, padding: u32) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u64(offset);
    bytes.put_u32(padding);
    bytes.put_bytes(b'.', padding as usize);
    bytes.freeze()
}

pub fn offsets_of(mut records: Bytes) -> Vec<u64> {
    let mut offsets = Vec::new();
    while records.has_remaining() {
        offsets.push(records.get_u64());
        let padding = records.get_u32();
        records.advance(padding as usize);
    }
    offsets
}

/// The partition at its leader.
pub struct Led {
    id: TopicIdPartition,
    followers: Vec<NodeId>,
    sessions: OnceLock<Weak<FetchSessions>>,
    state: Mutex<LedState>,
}

#[derive(Default)]
pub struct LedState {
    pub records: Vec<Bytes>,
    pub ends: BTreeMap<NodeId, u64>,
    pub high_watermark: u64,
    /// Looks with records, without, and fetches heard for the first time.
    pub reads: u64,
    pub looks: u64,
    pub heard: u64,
    pub bytes_sent: u64,
    pub refuses: Option<ErrorCode>,
}

impl Led {
    pub fn new(partition: u32, followers: &[NodeId]) -> Arc<Led> {
        let followers = followers.to_vec();
        Arc::new(Led { id: id(partition), followers, sessions: OnceLock::new(), state: Mutex::default() })
    }

    pub fn tell(&self, sessions: &Arc<FetchSessions>) {
        let _ = self.sessions.set(Arc::downgrade(sessions)); // told once
    }

    pub fn state(&self) -> parking_lot::MutexGuard<'_, LedState> {
        self.state.lock()
    }

    pub fn append(&self, padding: u32, now: Instant) {
        {
            let mut state = self.state.lock();
            let offset = state.records.len() as u64;
            state.records.push(record(offset, padding));
        }
        self.changed(Changed::LogEnd, now);
    }

    pub fn changed(&self, what: Changed, now: Instant) {
        if let Some(sessions) = self.sessions.get().and_then(Weak::upgrade) {
            sessions.partition_changed(self.id, what, || now);
        }
    }
}

impl LedState {
    fn hear(&mut self, from: NodeId, fetch: &FetchRequest, followers: &[NodeId]) -> bool {
        self.heard += 1;
        let end = self.ends.entry(from).or_default();
        *end = fetch.fetch_offset.0.max(*end);
        let all = followers.iter().map(|node| self.ends.get(node).copied().unwrap_or(0)).min();
        let before = self.high_watermark;
        self.high_watermark = before.max(all.unwrap_or(0));
        self.high_watermark > before
    }

    fn answer(&mut self, serving: Serving, fetch: &FetchRequest) -> Option<FetchResponse> {
        let respond = |state: &LedState, outcome| FetchResponse {
            correlation: fetch.correlation,
            leader_epoch: EPOCH,
            high_watermark: Offset(state.high_watermark),
            log_start: Offset::ZERO,
            log_end: Offset(state.records.len() as u64),
            outcome,
        };
        if let Some(code) = self.refuses {
            return Some(respond(self, FetchOutcome::Error(code)));
        }
        self.looks += 1;
        let mut bytes = BytesMut::new();
        for record in &self.records[usize::try_from(fetch.fetch_offset.0).unwrap()..] {
            let fits = bytes.len() + record.len() <= serving.bytes_max as usize;
            let is_whole = serving.is_first && bytes.is_empty();
            if !(fits || is_whole) {
                break;
            }
            bytes.extend_from_slice(record);
        }
        self.reads += u64::from(!bytes.is_empty());
        self.bytes_sent += bytes.len() as u64;
        let known = Known { high_watermark: Offset(self.high_watermark), log_start: Offset::ZERO };
        let is_known = bytes.is_empty() && serving.known == Some(known);
        (!is_known).then(|| respond(self, FetchOutcome::Records(bytes.freeze())))
    }
}

impl Replica for Led {
    fn id(&self) -> TopicIdPartition {
        self.id
    }

    fn serve(&self, serving: Serving, fetch: &FetchRequest, now: Instant) -> Option<FetchResponse> {
        assert!(serving.node_epoch > NodeEpoch(0), "the follower's life is known");
        let (answer, is_raised) = {
            let mut state = self.state.lock();
            let is_raised = serving.is_new && state.hear(serving.from, fetch, &self.followers);
            (state.answer(serving, fetch), is_raised)
        };
        if is_raised {
            self.changed(Changed::HighWatermark, now);
        }
        answer
    }

    fn poll_fetch(&self, _leader: NodeId, _now: Instant) -> Option<FetchRequest> {
        unreachable!("it leads")
    }

    fn poll_fetch_timeout(&self) -> Option<Instant> {
        unreachable!("it leads")
    }

    fn handle_fetch_response(&self, _from: NodeId, _response: FetchResponse, _now: Instant) {
        unreachable!("it leads")
    }
}

/// The partition at a follower.
pub struct Followed {
    id: TopicIdPartition,
    state: Mutex<FollowedState>,
}

pub struct FollowedState {
    pub end: u64,
    pub follower: Follower,
    pub polls: u64,
    pub answers: u64,
    pub backoffs: u64,
}

impl Followed {
    pub fn new(partition: u32, end: u64, bytes_max: u32) -> Arc<Followed> {
        let follower = follower(end, bytes_max);
        let state = FollowedState { end, follower, polls: 0, answers: 0, backoffs: 0 };
        Arc::new(Followed { id: id(partition), state: Mutex::new(state) })
    }

    /// It follows anew.
    pub fn restart(&self, bytes_max: u32) {
        let mut state = self.state.lock();
        state.follower = follower(state.end, bytes_max);
    }

    pub fn state(&self) -> parking_lot::MutexGuard<'_, FollowedState> {
        self.state.lock()
    }
}

fn follower(end: u64, bytes_max: u32) -> Follower {
    Follower::new(FollowerSetup {
        leader: LEADER,
        leader_epoch: EPOCH,
        log: facts(end),
        high_watermark: Offset::ZERO,
        bytes_max,
        fetch_backoff: MILLI * 100,
        correlation_last: Default::default(),
        request_timeout: EXPIRY,
    })
}

fn facts(end: u64) -> LogFacts {
    LogFacts { log_start: Offset::ZERO, log_end: Offset(end), vouched: Offset(end) }
}

impl Replica for Followed {
    fn id(&self) -> TopicIdPartition {
        self.id
    }

    fn serve(&self, _serving: Serving, _fetch: &FetchRequest, _now: Instant) -> Option<FetchResponse> {
        unreachable!("it follows")
    }

    fn poll_fetch(&self, leader: NodeId, now: Instant) -> Option<FetchRequest> {
        let mut state = self.state.lock();
        assert_eq!(leader, LEADER);
        let epoch = (state.end > 0).then_some(EPOCH);
        let log = facts(state.end);
        let fetch = state.follower.poll_fetch(log, epoch, now);
        state.polls += u64::from(fetch.is_some());
        fetch
    }

    fn poll_fetch_timeout(&self) -> Option<Instant> {
        self.state.lock().follower.poll_timeout()
    }

    fn handle_fetch_response(&self, from: NodeId, response: FetchResponse, now: Instant) {
        let mut state = self.state.lock();
        state.answers += 1;
        let log = facts(state.end);
        match state.follower.handle_response(from, response, log, None, now) {
            FollowerStep::Append { at, records } => {
                let mut end = at.0;
                for offset in offsets_of(records) {
                    assert_eq!(offset, end, "records follow each other");
                    end += 1;
                }
                state.end = end;
                state.follower.handle_appended(facts(end));
            }
            FollowerStep::BackOff(_) => state.backoffs += 1,
            FollowerStep::Idle | FollowerStep::Settled(Settled { .. }) => {}
            other => panic!("unforeseen: {other:?}"),
        }
    }
}
