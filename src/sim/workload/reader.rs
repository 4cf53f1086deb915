//! One reader: follows a partition on any node, now and then from the beginning again.

use crate::types::{NodeId, Offset, TopicPartition};

pub struct Reader {
    pub partition: TopicPartition,
    pub home: Option<NodeId>,
    pub position: Offset,
}

impl Reader {
    pub fn new(partition: TopicPartition) -> Reader {
        Reader { partition, home: None, position: Offset::ZERO }
    }

    /// Where to read next, and from whom: mostly on from where it was.
    pub fn prepare(&mut self, alive: &[NodeId], rng: &mut fastrand::Rng) -> Option<NodeId> {
        if rng.u8(..10) == 0 {
            self.position = Offset(rng.u64(..=self.position.0));
        }
        let stays = self.home.filter(|home| alive.contains(home) && rng.u8(..10) != 0);
        self.home = stays.or_else(|| (!alive.is_empty()).then(|| alive[rng.usize(..alive.len())]));
        self.home
    }
}
