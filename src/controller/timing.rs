//! When the quorum ticks, and how long it waits for a leader: drawn from our own seed, so that a run can be repeated.

use super::raft_store::RaftStore;
use crate::time::Instant;
use raft::{RawNode, StateRole};
use std::time::Duration;

/// The limits and times of the quorum.
#[derive(Clone, Debug)]
pub(crate) struct QuorumConfig {
    /// The quorum's unit of time.
    pub tick: Duration,
    pub heartbeat_ticks: usize,
    /// A follower that hears nothing for this long, up to twice as long by lot, stands for election
    /// (`controller.quorum.election.timeout.ms`). A leader that hears from no majority for this long steps down.
    pub election_ticks: usize,
    /// Entries after which the image is written down and older entries go.
    pub snapshot_entries: u64,
    /// Entries that are not committed yet may hold this much; beyond, proposals are refused.
    pub uncommitted_bytes_max: u64,
    /// A message carries about this many bytes of entries.
    pub message_bytes: u64,
}

impl Default for QuorumConfig {
    fn default() -> QuorumConfig {
        QuorumConfig {
            tick: Duration::from_millis(100),
            heartbeat_ticks: 2,
            election_ticks: 10,
            snapshot_entries: 10_000,
            uncommitted_bytes_max: 64 * 1024 * 1024,
            message_bytes: 1024 * 1024,
        }
    }
}

/// The quorum's clockwork.
pub(super) struct Timing {
    rng: fastrand::Rng,
    tick: Duration,
    tick_at: Instant,
    election_ticks: usize,
    // The raft crate draws its time-out from a source that nobody can seed, at every change of role or term. We draw anew
    // at the same moments and put ours in its place; so two nodes that drew the same draw again after they met.
    drawn: usize,
    seen: Option<(StateRole, u64)>,
}

impl Timing {
    pub fn new(config: &QuorumConfig, seed: u64, now: Instant) -> Timing {
        let rng = fastrand::Rng::with_seed(seed);
        let (tick, election_ticks) = (config.tick, config.election_ticks);
        Timing { rng, tick, tick_at: now + tick, election_ticks, drawn: 0, seen: None }
    }

    /// Whether a tick is due. A node that slept does not run through the ticks it missed: the messages that it missed come first.
    pub fn poll_tick(&mut self, now: Instant) -> bool {
        let due = now >= self.tick_at;
        if due {
            self.tick_at = now + self.tick;
        }
        due
    }

    pub fn poll_timeout(&self) -> Instant {
        self.tick_at
    }

    /// After everything that may have changed role or term.
    pub fn settle(&mut self, raw: &mut RawNode<RaftStore>) {
        let now = (raw.raft.state, raw.raft.term);
        if self.seen != Some(now) {
            self.seen = Some(now);
            self.drawn = self.rng.usize(self.election_ticks..2 * self.election_ticks);
        }
        raw.raft.set_randomized_election_timeout(self.drawn);
    }
}
