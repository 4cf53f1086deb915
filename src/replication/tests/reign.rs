//! A leader with short words for what happens to it.

use crate::error::ErrorCode;
use crate::replication::{
    Correlation, FetchRequest, FetchVerdict, Fetching, IsrProposal, IsrVerdict, Leader, LeaderOutput, LeaderSetup,
    LogFacts, NodeEpoch, PartitionEpoch, PartitionState, Standing,
};
use crate::time::Instant;
use crate::types::{LeaderEpoch, NodeId, Offset};
use std::time::Duration;

pub const LAG_MAX: Duration = Duration::from_millis(30_000);

pub fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

pub fn ids(nodes: &[u32]) -> Vec<NodeId> {
    nodes.iter().copied().map(NodeId).collect()
}

pub fn facts(end: u64) -> LogFacts {
    LogFacts { log_start: Offset(0), log_end: Offset(end), vouched: Offset(end) }
}

/// Node 1 leads in epoch 5, with every record of epoch 5; time is in milliseconds.
pub struct Reign {
    pub leader: Leader,
    pub log: LogFacts,
    correlation: u64,
}

pub fn reign(replicas: &[u32], isr: &[u32], min_isr: u32, end: u64) -> Reign {
    let setup = LeaderSetup {
        me: NodeId(1),
        node_epoch: NodeEpoch(1),
        leader_epoch: LeaderEpoch(5),
        partition: state(replicas, isr, 10),
        min_insync_replicas: min_isr,
        replica_lag_time_max: LAG_MAX,
        log: facts(end),
        high_watermark: Offset(0),
    };
    Reign { leader: Leader::new(setup, at(0)), log: facts(end), correlation: 0 }
}

pub fn state(replicas: &[u32], isr: &[u32], partition_epoch: u32) -> PartitionState {
    let partition_epoch = PartitionEpoch(partition_epoch);
    PartitionState { replicas: ids(replicas), in_sync_replicas: ids(isr), partition_epoch }
}

impl Reign {
    pub fn append_to(&mut self, end: u64, ms: u64) {
        self.log = facts(end);
        self.leader.handle_log(self.log, at(ms));
    }

    pub fn request(&mut self, offset: u64, vouched: u64) -> FetchRequest {
        self.correlation += 1;
        FetchRequest {
            correlation: Correlation(self.correlation),
            current_leader_epoch: Some(LeaderEpoch(5)),
            fetch_offset: Offset(offset),
            last_fetched_epoch: Some(LeaderEpoch(5)),
            log_start: Offset(0),
            vouched: Offset(vouched),
            bytes_max: 100,
        }
    }

    pub fn send(&mut self, from: u32, life: u64, request: &FetchRequest, ms: u64) -> FetchVerdict {
        let epoch_end = request.last_fetched_epoch.map(|epoch| (epoch, self.log.log_end));
        let fetching = Fetching { from: NodeId(from), node_epoch: NodeEpoch(life), log: self.log, epoch_end };
        self.leader.handle_fetch(fetching, request, at(ms))
    }

    /// A healthy fetch of node `from`, which vouches for all it has.
    pub fn fetch(&mut self, from: u32, offset: u64, ms: u64) {
        self.fetch_vouching(from, offset, offset, ms);
    }

    pub fn fetch_vouching(&mut self, from: u32, offset: u64, vouched: u64, ms: u64) {
        let request = self.request(offset, vouched);
        let verdict = self.send(from, 1, &request, ms);
        assert_eq!(verdict, FetchVerdict::Serve { from: Offset(offset), bytes_max: 100 });
    }

    pub fn high_watermark(&self) -> u64 {
        self.leader.high_watermark().0
    }

    pub fn maximal(&self) -> Vec<u32> {
        self.leader.maximal_in_sync_replicas().iter().map(|node| node.0).collect()
    }

    pub fn committed(&self) -> Vec<u32> {
        self.leader.in_sync_replicas().iter().map(|node| node.0).collect()
    }

    pub fn proposal(&mut self) -> Option<Vec<u32>> {
        self.full_proposal().map(|proposal| proposal.in_sync_replicas.iter().map(|member| member.node.0).collect())
    }

    pub fn full_proposal(&mut self) -> Option<IsrProposal> {
        loop {
            match self.leader.poll_output()? {
                LeaderOutput::ProposeIsr(proposal) => return Some(proposal),
                LeaderOutput::HighWatermarkAdvanced(end) => assert_eq!(end, self.leader.high_watermark()),
            }
        }
    }

    pub fn accept(&mut self, isr: &[u32], upon: u32, ms: u64) {
        self.verdict(upon, Ok((ids(isr), PartitionEpoch(upon + 1))), ms);
    }

    pub fn refuse(&mut self, code: ErrorCode, upon: u32, ms: u64) {
        self.verdict(upon, Err(code), ms);
    }

    pub fn verdict(&mut self, upon: u32, outcome: Result<(Vec<NodeId>, PartitionEpoch), ErrorCode>, ms: u64) {
        let verdict = IsrVerdict { leader_epoch: LeaderEpoch(5), proposed_upon: PartitionEpoch(upon), outcome };
        self.leader.handle_isr_verdict(verdict, at(ms));
    }

    pub fn stand(&mut self, node: u32, standing: Standing, ms: u64) {
        self.leader.handle_standing(NodeId(node), standing, at(ms));
    }
}
