//! `controller.mode=static`: the program says who leads.

use super::Engine;
use crate::error::Result;
use crate::types::{LeaderEpoch, NodeId};

impl Engine {
    /// Appoints the leader of a partition, `None` for nobody, in `epoch`: with `controller.mode=static`, where no quorum decides. To be
    /// called on every node that has a replica of it or sends to it, with the same words; a node that was not told goes on as before.
    /// Saying the same again does nothing. On return this node has written it down and obeys. May block for a sync.
    ///
    /// Epochs are the program's, begin with 1, and only grow: a node that has seen one takes none that is lower, also after it was opened
    /// again. A leader that was opened again leads only when it is appointed in a higher one, because it may have lost what it had not
    /// flushed; followers go on by themselves.
    ///
    /// # What the program has to see to
    /// There is no third vote, and nobody but the program takes over from a node that died. A reign begins with the leader alone in the ISR
    /// (`acks=all` is answered NOT_ENOUGH_REPLICAS until `min.insync.replicas` are there); it takes the others in when they have everything, puts out
    /// those that lag for `replica.lag.time.max.ms`, and is the only node that knows. Nothing that `acks=all` acknowledged is lost if
    /// the program, for a partition with R replicas and `min.insync.replicas` M,
    ///
    /// 1. first appoints nobody, in a higher epoch, on at least R-M+1 of the replicas' nodes. They acknowledge no earlier leader from then on, so
    ///    that one that cannot be reached acknowledges nothing more with `acks=all`;
    /// 2. asks each of these nodes for its own line of [`describe_replicas`](Engine::describe_replicas), and
    /// 3. appoints, in a still higher epoch, the one with the highest `last_leader_epoch`, of several the one with the highest `log_end`.
    ///
    /// Where the leader of before can be asked once more, any member of its ISR will do, and appointing another is reported as an error of
    /// the log sink. With M=1 all replicas have to be asked, or a member of the last ISR be known: with two nodes and M=1 the survivor may lack what the other
    /// acknowledged alone, and with M=2 nothing is acknowledged while one of the two is away. What was acknowledged without
    /// `flush.messages=1` and not flushed yet, a power cut takes from its ISR all the same.
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH: this node has seen a later epoch, or this one with another leader; UNKNOWN_TOPIC_OR_PARTITION; INVALID_REQUEST:
    /// that node has no replica of it; KAFKA_STORAGE_ERROR: it could not be written down, and this node takes no appointments until it is opened
    /// again; STATE without `controller.mode=static`; CLOSED.
    pub fn set_leader(&self, topic: &str, partition: u32, leader: Option<NodeId>, epoch: LeaderEpoch) -> Result<()> {
        self.core.check()?;
        self.core.appoint(|member, done| member.set_leader(topic, partition, leader, epoch, done))
    }
}
