use super::world::{nodes, state};
use crate::controller::elect::{Changed, Election, PartitionChange};
use crate::controller::{LeaderRecovery, PartitionState};
use crate::types::NodeId;

fn change(
    now: &PartitionState,
    min_isr: u32,
    active: &[u32],
    set: impl FnOnce(&mut PartitionChange<'_>),
) -> Option<Changed> {
    let acceptable = |node: NodeId| active.contains(&node.0);
    let mut change = PartitionChange::of(now, min_isr, &acceptable);
    set(&mut change);
    change.build()
}

fn numbers(nodes: &[NodeId]) -> Vec<u32> {
    nodes.iter().map(|node| node.0).collect()
}

#[test]
fn a_leader_that_lives_and_is_in_sync_stays() {
    let now = state(&[2, 1, 3], &[2, 1, 3], Some(1));
    assert_eq!(change(&now, 1, &[1, 2, 3], |_| ()), None, "not even for the preferred one");
}

#[test]
fn the_first_in_sync_replica_of_the_assignment_follows() {
    let now = state(&[2, 1, 3], &[3, 1, 2], Some(2));
    let after = change(&now, 1, &[1, 3], |c| c.isr = nodes(&[3, 1])).unwrap();
    assert_eq!((after.state.leader, after.elected_uncleanly), (Some(NodeId(1)), false));
    assert_eq!((after.state.leader_epoch.0, after.state.partition_epoch), (4, 8));
}

#[test]
fn a_preferred_election_tries_the_first_replica_before_the_leader() {
    let now = state(&[2, 1, 3], &[1, 2, 3], Some(1));
    let prefer = |c: &mut PartitionChange<'_>| c.election = Election::Preferred;
    assert_eq!(change(&now, 1, &[1, 2, 3], prefer).unwrap().state.leader, Some(NodeId(2)));
    assert_eq!(change(&now, 1, &[1, 3], prefer), None, "the preferred one is away");
    let lagging = state(&[2, 1, 3], &[1, 3], Some(1));
    assert_eq!(change(&lagging, 1, &[1, 2, 3], prefer), None, "the preferred one is not in sync");
}

#[test]
fn without_anybody_in_sync_nobody_leads_and_the_last_leader_is_remembered() {
    let now = state(&[1, 2, 3], &[1], Some(1));
    let after = change(&now, 1, &[2, 3], |c| c.isr.clear()).unwrap().state;
    assert_eq!((after.leader, after.last_known_leader), (None, Some(NodeId(1))));
    assert_eq!((numbers(&after.isr), numbers(&after.elr)), (vec![], vec![1]), "it stays eligible");
    assert_eq!(after.leader_epoch.0, 4, "nobody is a new reign too");
}

#[test]
fn an_unclean_election_takes_the_last_known_leader_then_the_first_replica_and_is_recovering() {
    let mut now = state(&[1, 2, 3], &[], None);
    now.last_known_leader = Some(NodeId(3));
    let uncleanly = |c: &mut PartitionChange<'_>| c.election = Election::Unclean;
    let after = change(&now, 1, &[2, 3], uncleanly).unwrap();
    assert!(after.elected_uncleanly);
    assert_eq!((after.state.leader, numbers(&after.state.isr)), (Some(NodeId(3)), vec![3]));
    assert_eq!((after.state.recovery, after.state.last_known_leader), (LeaderRecovery::Recovering, None));
    now.last_known_leader = None;
    assert_eq!(change(&now, 1, &[2, 3], uncleanly).unwrap().state.leader, Some(NodeId(2)));
    assert_eq!(change(&now, 1, &[], uncleanly), None);
}

#[test]
fn an_unclean_election_stays_clean_while_it_can() {
    let mut now = state(&[1, 2, 3], &[], None);
    now.elr = nodes(&[3]);
    let after = change(&now, 2, &[1, 2, 3], |c| c.election = Election::Unclean).unwrap();
    assert_eq!((after.state.leader, after.elected_uncleanly), (Some(NodeId(3)), false));
}

#[test]
fn who_leaves_an_isr_below_the_minimum_stays_eligible() {
    let now = state(&[1, 2, 3], &[1, 2, 3], Some(1));
    let two = change(&now, 2, &[1, 2, 3], |c| c.isr = nodes(&[1, 2])).unwrap().state;
    assert_eq!(numbers(&two.elr), [] as [u32; 0], "the ISR is large enough: 3 may miss what is committed from now on");
    let one = change(&two, 2, &[1, 2, 3], |c| c.isr = nodes(&[1])).unwrap().state;
    assert_eq!(numbers(&one.elr), [2]);
    assert_eq!(one.leader_epoch, now.leader_epoch, "a smaller ISR is no new reign");
    let back = change(&one, 2, &[1, 2, 3], |c| c.isr = nodes(&[1, 3])).unwrap().state;
    assert_eq!(numbers(&back.elr), [] as [u32; 0], "large enough again: nobody outside has everything");
}

#[test]
fn a_minimum_above_the_number_of_replicas_counts_as_all_of_them() {
    let now = state(&[1, 2], &[1, 2], Some(1));
    assert_eq!(numbers(&change(&now, 5, &[1, 2], |c| c.isr = nodes(&[1])).unwrap().state.elr), [2]);
}

#[test]
fn an_eligible_replica_leads_only_when_nobody_is_in_sync_and_is_the_isr_then() {
    let mut now = state(&[1, 2, 3], &[3], Some(3));
    now.elr = nodes(&[1, 2]);
    assert_eq!(change(&now, 3, &[1, 2, 3], |_| ()), None);
    let after = change(&now, 3, &[1, 2], |c| c.isr.clear()).unwrap().state;
    assert_eq!(after.leader, Some(NodeId(1)));
    assert_eq!((numbers(&after.isr), numbers(&after.elr)), (vec![1], vec![2, 3]));
    assert_eq!(after.recovery, LeaderRecovery::Recovered);
}

#[test]
fn who_restarted_uncleanly_is_not_eligible() {
    let now = state(&[1, 2], &[1, 2], Some(1));
    let after = change(&now, 2, &[2], |c| {
        c.isr = nodes(&[2]);
        c.restarted_uncleanly = Some(NodeId(1));
    });
    let after = after.unwrap().state;
    assert_eq!((after.leader, numbers(&after.elr)), (Some(NodeId(2)), vec![]));
}

#[test]
fn a_reassignment_completes_when_all_who_stay_are_in_sync_and_begins_a_new_reign() {
    let mut now = state(&[2, 4, 1], &[1, 2], Some(2));
    (now.adding, now.removing) = (nodes(&[4]), nodes(&[1]));
    let waits = change(&now, 1, &[1, 2, 4], |c| c.isr = nodes(&[2])).unwrap().state;
    assert_eq!(numbers(&waits.replicas), [2, 4, 1]);
    let done = change(&now, 1, &[1, 2, 4], |c| c.isr = nodes(&[2, 4, 1])).unwrap().state;
    assert_eq!((numbers(&done.replicas), numbers(&done.isr)), (vec![2, 4], vec![2, 4]));
    assert!(done.adding.is_empty() && done.removing.is_empty());
    assert_eq!((done.leader, done.leader_epoch.0), (Some(NodeId(2)), 4));
}
