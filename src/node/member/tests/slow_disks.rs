//! A disk that does not answer for many sessions is no reason to take a node for dead.

use super::{Arc, Cluster, Duration, NodeId, Ordering};
use crate::controller::{ControllerRequest, CreateTopic};
use crate::time::Clock;
use parking_lot::Mutex;
use std::sync::mpsc;

/// Steps in which four sessions of 1.5 s would end.
const LONG: usize = 600;

fn controller(cluster: &Cluster) -> u32 {
    cluster.until("somebody is the controller", || {
        let of = |id: u32| cluster.node(id).member().expect("is a member").runner().standing();
        (1..=3).find(|id| of(*id).is_active)
    })
}

/// Of the nodes that can say so, the newest word.
fn is_active(cluster: &Cluster, node: u32) -> bool {
    let images = (1..=3).map(|id| cluster.node(id).member().expect("is a member").describe().image);
    let newest = images.max_by_key(|image| image.offset()).expect("three nodes");
    newest.is_active(NodeId(node))
}

fn cluster() -> Cluster {
    let cluster = Cluster::new(3, &[]);
    cluster.create("t", 3, &[("min.insync.replicas", "2")]);
    cluster.put_acked("before");
    cluster
}

/// The disk of `slow` hangs in the next sync of its metadata log, on the thread that runs it, for four sessions. All that while it is
/// taken for alive.
fn lives_through_a_sync_that_takes_long(cluster: &Cluster, slow: u32) {
    let epoch = cluster.partition(cluster.leader()).expect("leads").leader_epoch();
    let seat = &cluster.seats[slow as usize - 1];
    let (node, clock) = (cluster.node(slow).clone(), Arc::clone(&cluster.clock));
    let ((begun, has_begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    let may_go_on = Mutex::new(may_go_on);
    seat.counting.as_ref().expect("was started").before_syncs(move || {
        let _ = begun.send(());
        let _ = may_go_on.lock().recv(); // at once when there is no sender any more
    });
    seat.is_elsewhere.store(true, Ordering::SeqCst);
    std::thread::scope(|threads| {
        let its_own = threads.spawn(|| {
            while seat.is_elsewhere.load(Ordering::SeqCst) {
                node.tick(clock.monotonic());
                std::thread::yield_now();
            }
        });
        let create = ControllerRequest::CreateTopic(CreateTopic {
            name: "u".into(),
            id: [8; 16],
            partitions: Some(1),
            replication_factor: Some(1),
            assignments: Vec::new(),
            settings: Vec::new(),
        });
        let deadline = cluster.clock.monotonic() + Duration::from_secs(60);
        let asker = (1..=3).find(|id| *id != slow).expect("one of the others");
        let client = cluster.node(asker).member().expect("is a member").client().clone();
        client.ask_controller(create, deadline, Box::new(|_| {}));
        let hangs = (0..100 * LONG).any(|_| {
            cluster.step();
            has_begun.recv_timeout(Duration::from_millis(1)).is_ok()
        });
        assert!(hangs, "the metadata are written down");
        let is_given_up_at = (0..LONG).find(|_| {
            cluster.step();
            !is_active(cluster, slow)
        });
        drop(go_on);
        seat.is_elsewhere.store(false, Ordering::SeqCst);
        its_own.join().expect("no panic");
        assert_eq!(is_given_up_at, None, "in which step it was taken for dead");
    });
    cluster.put_acked("after");
    cluster.converge();
    assert_eq!(cluster.partition(cluster.leader()).expect("leads").leader_epoch(), epoch, "nobody else was elected");
}

#[test]
fn a_node_whose_metadata_log_waits_for_the_disk_is_not_taken_for_dead() {
    let cluster = cluster();
    let controller = controller(&cluster);
    let slow = (1..=3).find(|id| *id != controller).expect("one of the others");
    lives_through_a_sync_that_takes_long(&cluster, slow);
}

#[test]
fn the_controller_itself_is_not_taken_for_dead_when_its_disk_makes_it_lose_its_office() {
    let cluster = cluster();
    lives_through_a_sync_that_takes_long(&cluster, controller(&cluster));
}

#[test]
fn a_controller_that_is_held_up_in_a_frame_fences_nobody_for_what_it_cannot_hear_unless_that_has_no_end() {
    let cluster = cluster();
    let controller = controller(&cluster);
    let silent = (1..=3).find(|id| *id != controller).expect("one of the others");
    let is_cut = &cluster.seats[silent as usize - 1].is_cut;
    let member = cluster.node(controller).member().expect("is a member").clone();

    let frame = member.hearing.begin();
    is_cut.store(true, Ordering::SeqCst); // what it sends lies unread
    for step in 0..LONG / 2 {
        cluster.step();
        assert!(is_active(&cluster, silent), "step {step}");
    }
    drop(frame);
    is_cut.store(false, Ordering::SeqCst);
    for step in 0..LONG / 2 {
        cluster.step();
        assert!(is_active(&cluster, silent), "step {step} after it");
    }

    let frame = member.hearing.begin();
    is_cut.store(true, Ordering::SeqCst);
    cluster.until("it is given up after all", || (!is_active(&cluster, silent)).then_some(()));
    drop(frame);
}
