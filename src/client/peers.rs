//! Who is to be a peer of the transport: the nodes that are alive, and the bootstrap addresses while none of them is connected.

use super::Client;
use crate::transport::BOOTSTRAP_ID_MIN;
use crate::types::NodeId;
use std::collections::BTreeSet;

impl Client {
    pub(super) fn bootstrap(&self) -> impl Iterator<Item = (NodeId, &str)> {
        let numbers = (BOOTSTRAP_ID_MIN.0..).map(NodeId);
        numbers.zip(self.settings().bootstrap.iter().map(String::as_str))
    }

    /// One that is connected: the controller, if that is known.
    pub(super) fn some_node(&self) -> Option<NodeId> {
        let controller = self.view().controller();
        let state = self.state.lock();
        controller.filter(|node| state.up.contains(node)).or_else(|| state.up.first().copied())
    }

    /// The nodes that are alive become peers, those that are not are none any more.
    pub(super) fn settle_peers(&self) {
        let nodes = self.view().nodes();
        let alive: BTreeSet<NodeId> = nodes.iter().map(|node| node.node).collect();
        let gone: Vec<NodeId> = {
            let mut state = self.state.lock();
            let before = std::mem::replace(&mut state.peers, alive.clone());
            before.difference(&alive).copied().collect()
        };
        // An address that this transport cannot dial, or a transport that has stopped: requests to that node say so.
        for node in nodes {
            let _ = self.transport().set_peer(node.node, Some(&node.address));
        }
        for node in gone {
            let _ = self.transport().set_peer(node, None);
        }
    }

    /// The bootstrap addresses are peers as long as no node is connected under its own number.
    pub(super) fn settle_bootstrap(&self) {
        loop {
            let is_needed = {
                let mut state = self.state.lock();
                let is_needed = state.up.iter().all(|peer| *peer >= BOOTSTRAP_ID_MIN);
                // Whoever is at it looks again afterwards.
                if self.is_fed() || state.is_settling || is_needed == state.is_bootstrapping {
                    return;
                }
                (state.is_bootstrapping, state.is_settling) = (is_needed, true);
                is_needed
            };
            for (peer, address) in self.bootstrap() {
                // As above.
                let _ = self.transport().set_peer(peer, is_needed.then_some(address));
            }
            self.state.lock().is_settling = false;
        }
    }
}
