//! Where replicas go: striped over racks and nodes (Kafka's `StripedReplicaPlacer`).

use super::image::{Image, NodeState};
use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that may get replicas, in an order in which neighbours stand in different racks.
pub(super) struct Placement<'a> {
    image: &'a Image,
    active: Vec<NodeId>,
    fenced: Vec<NodeId>,
    lot: u64,
}

impl<'a> Placement<'a> {
    /// `lot` is a random number: where the ring begins.
    pub fn of(image: &'a Image, lot: u64) -> Placement<'a> {
        let usable = |node: &&NodeState| node.registration.holds_data;
        let (active, fenced): (Vec<&NodeState>, Vec<&NodeState>) =
            image.nodes().filter(usable).partition(|n| n.is_active());
        Placement { image, active: stripe(&active), fenced: stripe(&fenced), lot }
    }

    /// The replicas of partitions `first..first + count`, `factor` each. The first of each list is active; fenced nodes come last and only
    /// when there are not enough others.
    ///
    /// # Errors
    /// INVALID_REPLICATION_FACTOR: fewer nodes than replicas, or nobody is active.
    pub fn place(&self, first: u32, count: u32, factor: u32) -> Result<Vec<Vec<NodeId>>> {
        let nodes = self.active.len() + self.fenced.len();
        let refuse = |why: String| Err(Error::new(ErrorCode::INVALID_REPLICATION_FACTOR, why));
        if factor == 0 || factor as usize > nodes {
            return refuse(format!("replication factor {factor} with {nodes} nodes that keep replicas"));
        }
        if self.active.is_empty() {
            return refuse("every node that keeps replicas is fenced or leaving".to_owned());
        }
        Ok((first..first.saturating_add(count)).map(|partition| self.replicas(partition, factor as usize)).collect())
    }

    fn replicas(&self, partition: u32, factor: usize) -> Vec<NodeId> {
        let start = self.lot.wrapping_add(u64::from(partition));
        // After each round the followers move on by one, so that not always the same two nodes share everything.
        let round = u64::from(partition) / self.active.len() as u64;
        let mut chosen = Vec::with_capacity(factor);
        let mut racks = BTreeSet::new();
        self.take(&self.active, start, 0, 1, &mut chosen, &mut racks);
        self.take(&self.active, start, 1 + round, factor, &mut chosen, &mut racks);
        self.take(&self.fenced, start, round, factor, &mut chosen, &mut racks);
        chosen
    }

    /// Fills `chosen` up to `factor` from a ring: first from racks that are not there yet, then from any.
    fn take(
        &self,
        ring: &[NodeId],
        start: u64,
        shift: u64,
        factor: usize,
        chosen: &mut Vec<NodeId>,
        racks: &mut BTreeSet<Option<&'a str>>,
    ) {
        if ring.is_empty() {
            return;
        }
        let length = ring.len() as u64;
        let at =
            |step: u64| ring[usize::try_from((start % length + shift % length + step) % length).expect("an index")];
        for only_new_racks in [true, false] {
            for node in (0..length).map(at) {
                let rack = self.image.node(node).and_then(|node| node.registration.rack.as_deref());
                let fits = !chosen.contains(&node) && (!only_new_racks || !racks.contains(&rack));
                if chosen.len() < factor && fits {
                    chosen.push(node);
                    racks.insert(rack);
                }
            }
        }
    }

    /// Somebody to take the place of `leaving` in `replicas`: active, not there yet, of a rack that is not there yet if possible, with
    /// the fewest replicas (`load` counts them), then by number.
    pub fn substitute(&self, replicas: &[NodeId], leaving: NodeId, load: &BTreeMap<NodeId, usize>) -> Option<NodeId> {
        let rack = |node: NodeId| self.image.node(node).and_then(|node| node.registration.rack.as_deref());
        let staying: BTreeSet<_> = replicas.iter().filter(|node| **node != leaving).map(|node| rack(*node)).collect();
        let free = self.active.iter().copied().filter(|node| *node != leaving && !replicas.contains(node));
        free.min_by_key(|node| (staying.contains(&rack(*node)), load.get(node).copied().unwrap_or(0), *node))
    }
}

/// One of each rack in turn, racks by name, nodes by number.
fn stripe(nodes: &[&NodeState]) -> Vec<NodeId> {
    let mut racks: BTreeMap<Option<&str>, Vec<NodeId>> = BTreeMap::new();
    for node in nodes {
        racks.entry(node.registration.rack.as_deref()).or_default().push(node.registration.node);
    }
    let longest = racks.values().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|row| racks.values().filter_map(move |rack| rack.get(row).copied())).collect()
}
