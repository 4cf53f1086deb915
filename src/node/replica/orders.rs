//! Orders of the controller: who leads, who follows.

use super::super::notices::Level;
use super::super::partition::Partition;
use super::lead::carry_out;
use super::moved::Moved;
use super::{facts, Role, Seat};
use crate::config::ClusterConfig;
use crate::controller::PartitionState;
use crate::error::Result;
use crate::replication::{self, Follower, FollowerSetup, Leader, LeaderSetup, NodeEpoch, PartitionEpoch, Standing};
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId};
use std::sync::atomic::Ordering;

/// What the metadata say of one partition, and what a node needs to obey.
pub(in crate::node) struct Orders<'a> {
    pub(in crate::node) state: &'a PartitionState,
    /// The life of this node that the metadata know; `None` while they know another one: then nothing is led.
    pub(in crate::node) node_epoch: Option<NodeEpoch>,
    /// Of the other replicas.
    pub(in crate::node) standings: &'a [(NodeId, Standing)],
    pub(in crate::node) config: &'a ClusterConfig,
    pub(in crate::node) now: Instant,
}

/// The part that orders give to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Absent,
    Waiting,
    Lead(NodeEpoch),
    Follow(NodeId),
}

impl Orders<'_> {
    fn part_of(&self, me: NodeId) -> Part {
        if !self.state.replicas.contains(&me) {
            return Part::Absent;
        }
        match (self.state.leader, self.node_epoch) {
            (Some(leader), _) if leader != me => Part::Follow(leader),
            (Some(_), Some(node_epoch)) => Part::Lead(node_epoch),
            // A reign dies with the process: what this life has lost, others may have acknowledged.
            (Some(_), None) | (None, _) => Part::Waiting,
        }
    }

    fn partition_state(&self) -> replication::PartitionState {
        replication::PartitionState {
            replicas: self.state.replicas.clone(),
            in_sync_replicas: self.state.isr.clone(),
            partition_epoch: PartitionEpoch(self.state.partition_epoch),
        }
    }
}

impl Partition {
    /// Takes the part that the controller's orders give to this node, and says whether it is another one than before. Orders of an
    /// earlier reign than the one that it knows are ignored.
    pub(in crate::node) fn take_orders(&self, orders: &Orders<'_>) -> bool {
        let Some(seat) = &self.seat else { return false };
        let part = orders.part_of(seat.me);
        if orders.state.leader_epoch < seat.leader().1 {
            return false;
        }
        let changed = match part {
            Part::Absent => seat.stand_back(orders, Role::Absent),
            Part::Waiting => seat.stand_back(orders, Role::Waiting),
            Part::Lead(node_epoch) => self.lead(seat, node_epoch, orders),
            Part::Follow(leader) => self.follow(seat, leader, orders),
        };
        match changed {
            Ok(moved) => {
                let (listeners, is_new) = (moved.is_worth_telling(), moved.leadership);
                self.spread(moved, listeners);
                is_new
            }
            Err(failed) => {
                self.tell_failure(&failed);
                let what = format!("{} takes no part in epoch {}: {failed}", self.id(), orders.state.leader_epoch.0);
                self.house.tell(Level::Error, || what);
                if let Ok(moved) = seat.stand_back(orders, Role::Waiting) {
                    self.spread(moved, true);
                }
                true
            }
        }
    }

    fn lead(&self, seat: &Seat, node_epoch: NodeEpoch, orders: &Orders<'_>) -> Result<Moved> {
        seat.is_given_up.store(false, Ordering::Release);
        let log = self.log()?;
        let now = orders.now;
        let mut state = seat.state.lock();
        let LeaderEpoch(epoch) = orders.state.leader_epoch;
        if orders.state.leader_epoch < state.leader_epoch {
            return Ok(Moved::default());
        }
        let reigns_on = state.leader_epoch == orders.state.leader_epoch && state.node_epoch == node_epoch;
        let mut moved = match &mut state.role {
            Role::Leader(leader) if reigns_on => {
                leader.handle_partition(&orders.partition_state(), self.settings.min_insync_replicas(), now);
                Moved::default()
            }
            _ => {
                // The reign begins on the disk before anybody is served in it.
                log.begin_leader_epoch(orders.state.leader_epoch)?;
                let setup = LeaderSetup {
                    me: seat.me,
                    node_epoch,
                    leader_epoch: orders.state.leader_epoch,
                    partition: orders.partition_state(),
                    min_insync_replicas: self.settings.min_insync_replicas(),
                    replica_lag_time_max: orders.config.replica_lag_time_max,
                    log: facts(&log, self.must_flush_before_ack()),
                    high_watermark: log.high_watermark(),
                };
                self.house.tell(Level::Info, || {
                    format!("{}: leads in epoch {epoch} from {} on", self.id(), setup.log.log_end)
                });
                state.keep_correlation();
                state.role = Role::Leader(Box::new(Leader::new(setup, now)));
                Moved { leadership: true, ..Moved::default() }
            }
        };
        (state.leader, state.leader_epoch, state.node_epoch) = (Some(seat.me), orders.state.leader_epoch, node_epoch);
        if let Role::Leader(leader) = &mut state.role {
            for (node, standing) in orders.standings {
                leader.handle_standing(*node, *standing, now);
            }
            moved = moved.and(carry_out(leader, &log));
        }
        seat.is_leading.store(true, Ordering::Release);
        Ok(moved)
    }

    fn follow(&self, seat: &Seat, leader: NodeId, orders: &Orders<'_>) -> Result<Moved> {
        seat.is_given_up.store(false, Ordering::Release);
        let log = self.log()?;
        if let Some(failed) = log.failure() {
            // At its leader's end it would be taken for one that keeps up.
            return Err(failed);
        }
        let mut state = seat.state.lock();
        if orders.state.leader_epoch < state.leader_epoch {
            return Ok(Moved::default());
        }
        let follows_on = matches!(&state.role, Role::Follower(follower)
            if follower.leader() == leader && follower.leader_epoch() == orders.state.leader_epoch);
        if follows_on {
            return Ok(Moved::default());
        }
        state.keep_correlation();
        let config = orders.config;
        let setup = FollowerSetup {
            leader,
            leader_epoch: orders.state.leader_epoch,
            log: facts(&log, self.must_flush_before_ack()),
            high_watermark: log.high_watermark(),
            bytes_max: config.fetch_bytes_max,
            fetch_backoff: config.fetch_backoff,
            correlation_last: state.correlation_last,
            // Asked anew that often, an idle follower stays known to be at the leader's end.
            request_timeout: (config.replica_lag_time_max / 4).max(config.fetch_wait_max * 2),
        };
        state.role = Role::Follower(Box::new(Follower::new(setup)));
        (state.leader, state.leader_epoch) = (Some(leader), orders.state.leader_epoch);
        seat.is_leading.store(false, Ordering::Release);
        drop(state);
        // What came last in its own reign, and nobody waited for, may not be flushed: a follower vouches for all that it has.
        self.vouch(&log);
        Ok(Moved { leadership: true, ..Moved::default() })
    }
}

impl Seat {
    /// Neither leads nor follows.
    fn stand_back(&self, orders: &Orders<'_>, role: Role) -> Result<Moved> {
        let mut state = self.state.lock();
        if orders.state.leader_epoch < state.leader_epoch {
            return Ok(Moved::default());
        }
        let was_idle = matches!((&state.role, &role), (Role::Absent, Role::Absent) | (Role::Waiting, Role::Waiting));
        let same = was_idle && (state.leader, state.leader_epoch) == (orders.state.leader, orders.state.leader_epoch);
        state.keep_correlation();
        (state.role, state.is_told) = (role, true);
        (state.leader, state.leader_epoch) = (orders.state.leader, orders.state.leader_epoch);
        self.is_leading.store(false, Ordering::Release);
        Ok(Moved { leadership: !same, ..Moved::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Trio;
    use crate::types::{Acks, Offset};

    #[test]
    fn a_deposed_leader_vouches_for_what_it_appended_last_although_nobody_has_waited_for_that() {
        let mut trio = Trio::new(&[("flush.messages", "1"), ("flush.ms", "3600000")]);
        trio.reign(Some(1), &[1, 2, 3]);
        trio.put(1, "nobody waits", Acks::None).expect("appends");
        let flushed = |trio: &Trio| trio.of(1).offsets().expect("offsets").flushed;
        assert_eq!(flushed(&trio), Offset(0));
        trio.reign(Some(2), &[1, 2, 3]);
        assert_eq!(flushed(&trio), Offset(1), "a follower that vouches for less may never be in sync again");
    }
}
