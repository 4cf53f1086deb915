//! What the nodes of the quorum say to each other and keep on disk, in types and bytes of our own: the protobuf code of the `raft` crate
//! never reads bytes from outside.
//!
//! ```text
//! message   version u8 | verb u8 | term u64 | log term u64 | index u64 | commit u64 | commit term u64 | request snapshot u64
//!           | reject u8 | reject hint u64 | context bytes | entries: count u32, entry each | snapshot?
//! entry     index u64 | term u64 | kind u8 (0 records, 1 membership) | data bytes
//! snapshot  version u8 | index u64 | term u64 | voters: nodes | learners: nodes | records bytes (see codec.rs)
//! bytes     length u32, bytes
//! ```
//! Big-endian.

use super::fields::{Reader, Writer};
use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;
use bytes::Bytes;

/// Most bytes of one entry of the metadata log.
pub(crate) const ENTRY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of a snapshot's records.
pub(crate) const SNAPSHOT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most entries of one message.
const ENTRIES_MAX: usize = 65_536;
/// `raft` itself puts a word of 16 bytes there.
const CONTEXT_BYTES_MAX: usize = 64;
const VERSION: u8 = 0;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EntryKind {
    /// A list of metadata records; empty at the beginning of a leader's term.
    Records,
    /// A change of who votes.
    Membership,
}

/// One entry of the metadata log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RaftEntry {
    pub index: u64,
    pub term: u64,
    pub kind: EntryKind,
    pub data: Bytes,
}

/// What must be on disk before a vote or an acknowledgement leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct HardState {
    pub term: u64,
    pub vote: Option<NodeId>,
    pub commit: u64,
}

/// The image at an index, with who votes there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RaftSnapshot {
    pub index: u64,
    pub term: u64,
    pub voters: Vec<NodeId>,
    pub learners: Vec<NodeId>,
    pub records: Bytes,
}

/// What the node has to write, in this order: the snapshot; the entries, after cutting the log from the first one's index; the hard state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Persist {
    /// To be named when it is durable.
    pub number: u64,
    /// Fsync, then call `handle_persisted`. Otherwise a crash may lose it, and nobody waits.
    pub must_sync: bool,
    pub snapshot: Option<RaftSnapshot>,
    /// With the snapshot of another node: the whole log goes. Otherwise entries up to the snapshot's index may go once it is durable.
    pub resets_log: bool,
    pub entries: Vec<RaftEntry>,
    pub hard_state: Option<HardState>,
}

/// What a node found on its disk. All empty: a node that will join.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Restored {
    pub hard_state: HardState,
    pub snapshot: Option<RaftSnapshot>,
    /// In order, without gaps.
    pub entries: Vec<RaftEntry>,
}

macro_rules! verbs {
    ($($number:literal $verb:ident,)*) => {
        /// What a message is about: the `raft` crate's messages that travel.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum RaftVerb { $($verb,)* }
        impl RaftVerb {
            fn number(self) -> u8 { match self { $(RaftVerb::$verb => $number,)* } }
            fn of(number: u8) -> Option<RaftVerb> { match number { $($number => Some(RaftVerb::$verb),)* _ => None } }
        }
    };
}
verbs! {
    1 Append, 2 AppendResponse, 3 RequestVote, 4 RequestVoteResponse, 5 Snapshot, 6 Heartbeat, 7 HeartbeatResponse, 8 TimeoutNow,
    9 RequestPreVote, 10 RequestPreVoteResponse,
}

/// One message of the quorum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RaftMessage {
    pub verb: RaftVerb,
    pub term: u64,
    pub log_term: u64,
    pub index: u64,
    pub commit: u64,
    pub commit_term: u64,
    pub request_snapshot: u64,
    pub reject: bool,
    pub reject_hint: u64,
    pub context: Bytes,
    pub entries: Vec<RaftEntry>,
    pub snapshot: Option<RaftSnapshot>,
}

impl RaftEntry {
    pub(super) fn put(&self, w: &mut Writer) {
        w.u64(self.index);
        w.u64(self.term);
        w.u8(match self.kind {
            EntryKind::Records => 0,
            EntryKind::Membership => 1,
        });
        w.bytes(&self.data);
    }

    pub(super) fn get(r: &mut Reader<'_>) -> Result<RaftEntry> {
        let (index, term) = (r.u64()?, r.u64()?);
        let kind = if r.bool()? { EntryKind::Membership } else { EntryKind::Records };
        Ok(RaftEntry { index, term, kind, data: Bytes::copy_from_slice(r.bytes(ENTRY_BYTES_MAX)?) })
    }
}

impl RaftSnapshot {
    /// For the disk, and inside of messages.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        self.put(&mut w);
        w.0
    }

    /// # Errors
    /// CORRUPT_MESSAGE or UNSUPPORTED_VERSION.
    pub fn decode(bytes: &[u8]) -> Result<RaftSnapshot> {
        let mut r = Reader::new(bytes, "metadata snapshot");
        let snapshot = RaftSnapshot::get(&mut r)?;
        r.end()?;
        Ok(snapshot)
    }

    fn put(&self, w: &mut Writer) {
        w.u8(VERSION);
        w.u64(self.index);
        w.u64(self.term);
        w.nodes(&self.voters);
        w.nodes(&self.learners);
        w.bytes(&self.records);
    }

    fn get(r: &mut Reader<'_>) -> Result<RaftSnapshot> {
        check_version(r, "metadata snapshot")?;
        let (index, term) = (r.u64()?, r.u64()?);
        let (voters, learners) = (r.nodes()?, r.nodes()?);
        let mut all: Vec<NodeId> = voters.iter().chain(&learners).copied().collect();
        all.sort_unstable();
        all.dedup();
        if index == 0 || term == 0 || voters.is_empty() || all.len() != voters.len() + learners.len() {
            return Err(r.corrupt("a snapshot of nothing, without voters, or with a node named twice"));
        }
        Ok(RaftSnapshot {
            index,
            term,
            voters,
            learners,
            records: Bytes::copy_from_slice(r.bytes(SNAPSHOT_BYTES_MAX)?),
        })
    }
}

impl RaftMessage {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.u8(VERSION);
        w.u8(self.verb.number());
        for field in [self.term, self.log_term, self.index, self.commit, self.commit_term, self.request_snapshot] {
            w.u64(field);
        }
        w.bool(self.reject);
        w.u64(self.reject_hint);
        w.bytes(&self.context);
        w.length(self.entries.len());
        self.entries.iter().for_each(|entry| entry.put(&mut w));
        w.option(self.snapshot.as_ref(), |w, snapshot| snapshot.put(w));
        w.0
    }

    /// # Errors
    /// CORRUPT_MESSAGE or UNSUPPORTED_VERSION.
    pub fn decode(bytes: &[u8]) -> Result<RaftMessage> {
        let mut r = Reader::new(bytes, "quorum message");
        check_version(&mut r, "quorum message")?;
        let number = r.u8()?;
        let Some(verb) = RaftVerb::of(number) else {
            let message = format!("quorum message {number}; this program does not know it");
            return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, message));
        };
        let message = RaftMessage {
            verb,
            term: r.u64()?,
            log_term: r.u64()?,
            index: r.u64()?,
            commit: r.u64()?,
            commit_term: r.u64()?,
            request_snapshot: r.u64()?,
            reject: r.bool()?,
            reject_hint: r.u64()?,
            context: Bytes::copy_from_slice(r.bytes(CONTEXT_BYTES_MAX)?),
            entries: {
                let count = r.count(ENTRIES_MAX, 21)?;
                (0..count).map(|_| RaftEntry::get(&mut r)).collect::<Result<_>>()?
            },
            snapshot: r.option(RaftSnapshot::get)?,
        };
        r.end()?;
        Ok(message)
    }
}

fn check_version(r: &mut Reader<'_>, what: &str) -> Result<()> {
    let version = r.u8()?;
    if version > VERSION {
        let message = format!("{what} of version {version}; this program knows versions up to {VERSION}");
        return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, message));
    }
    Ok(())
}
