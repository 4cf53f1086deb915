//! Settings that change while somebody leads.

use super::Trio;
use crate::time::Clock;
use crate::types::{Acks, NodeId, Offset};

#[test]
fn a_smaller_isr_commits_nothing_by_the_min_insync_replicas_of_before_it() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    trio.put(1, "nobody else has it", Acks::Leader).expect("appends");
    // One image brings both: two are needed from now on, and whoever leaves after that may be elected with what it has.
    trio.replicas[0].node.alter_topic("t", "min.insync.replicas", Some("2")).expect("alters");
    trio.state.isr = vec![NodeId(1)];
    trio.state.partition_epoch += 1;
    trio.tell(1);
    assert_eq!(trio.high_watermark(1), Offset(0));
    trio.replicas[0].node.alter_topic("t", "min.insync.replicas", Some("1")).expect("alters");
    trio.of(1).handle_min_insync_replicas(trio.clock.monotonic());
    assert_eq!(trio.high_watermark(1), Offset(1), "one is enough again");
}
