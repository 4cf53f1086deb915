//! One runner by itself: answers, subscribers, a disk that fails, an orderly end, many threads.

use super::world::{Mouth, SEGMENT_BYTES};
use super::*;
use crate::controller::*;
use crate::error::ErrorCode;
use crate::node::metadata::inbox::INBOX_MAX;
use crate::node::metadata::{Bringer, MetadataLog, MetadataRunner, MetadataSettings};
use crate::node::LogLevel;
use crate::sim::{Call, CountingDisk, FaultKind, FaultyCalls, Repeat};
use crate::time::Instant;
use parking_lot::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

struct Alone {
    mouth: Arc<Mouth>,
    runner: Arc<MetadataRunner>,
    now: Instant,
}

impl Alone {
    fn open(place: MetadataPlace) -> Alone {
        MetadataLog::bootstrap(&place, &[NodeId(0)]).expect("bootstraps");
        let mouth = Arc::new(Mouth::default());
        let (controller, quorum) = (ControllerConfig::default(), QuorumConfig::default());
        let settings = MetadataSettings { me: NodeId(0), controller, quorum, seed: 3 };
        let runner = MetadataRunner::open(place, settings, mouth.clone(), mouth.clone(), Instant(0)).expect("opens");
        runner.subscribe(mouth.clone());
        Alone { mouth, runner: Arc::new(runner), now: Instant(0) }
    }

    /// Until it leads, and has a node to put replicas on.
    fn lead(&mut self) {
        while !self.runner.standing().is_active {
            self.now = self.runner.tick(self.now, Duration::ZERO).expect("is not over");
        }
        let register = RegisterNode {
            node: NodeId(0),
            incarnation: self.now.0,
            address: "here".to_owned(),
            rack: None,
            holds_data: true,
            previous_epoch: None,
        };
        let Ok(Reply::Registered { node_epoch }) = self.ask(ControllerRequest::RegisterNode(register)) else {
            panic!("is not registered");
        };
        let heartbeat = Heartbeat {
            node: NodeId(0),
            node_epoch,
            metadata_offset: self.runner.standing().image.offset(),
            wants_fenced: false,
            wants_shutdown: false,
        };
        self.ask(ControllerRequest::Heartbeat(heartbeat)).expect("beats");
    }

    fn ask(&self, request: ControllerRequest) -> crate::error::Result<Reply> {
        let answer = Arc::new(Mutex::new(None));
        let (into, runner) = (answer.clone(), self.runner.clone());
        let waiter = Box::new(move |response: ControllerResponse| {
            // Nothing is locked here, and the image is as new as the answer.
            assert!(runner.standing().image.offset() >= response.metadata_offset);
            *into.lock() = Some(response.result);
        });
        self.runner.ask(request, waiter, self.now);
        if self.mouth.is_called.swap(false, Ordering::SeqCst) {
            self.runner.tick(self.now, Duration::ZERO);
        }
        let answer = answer.lock().take();
        answer.expect("one voter answers at once")
    }
}

fn create(name: &str, number: u8) -> ControllerRequest {
    ControllerRequest::CreateTopic(CreateTopic {
        name: name.into(),
        id: [number; 16],
        partitions: Some(1),
        replication_factor: None,
        assignments: Vec::new(),
        settings: Vec::new(),
    })
}

#[test]
fn a_reopened_node_has_the_image_that_it_closed_with() {
    let disk = SimDisk::new(1);
    let mut node = Alone::open(sim_place(&disk, SEGMENT_BYTES));
    node.lead();
    node.ask(create("orders", 1)).expect("is created");
    let image = node.runner.standing().image;
    assert!(image.topic_named("orders").is_some());
    assert_eq!(node.runner.standing().membership.voters, [NodeId(0)]);
    assert_eq!(node.mouth.images.lock().last(), Some(&image), "whoever subscribed has it, too");
    node.runner.close(node.now).expect("closes");
    assert_eq!(node.ask(create("late", 2)).expect_err("is closed").code(), ErrorCode::NOT_CONTROLLER);
    assert_eq!(node.runner.tick(node.now, Duration::ZERO), None);
    assert!(node.mouth.notices.lock().is_empty(), "an orderly end is no failure");
    drop(node);
    let node = Alone::open(sim_place(&disk.crash(5), SEGMENT_BYTES));
    assert_eq!(node.runner.standing().image, image);
    assert_eq!(node.mouth.images.lock().first(), Some(&image), "a subscriber begins with what there is");
}

#[test]
fn a_disk_that_fails_stops_the_node_once_and_for_all() {
    let disk = SimDisk::new(1);
    let mut node = Alone::open(sim_place(&disk, SEGMENT_BYTES));
    node.lead();
    disk.fail_nth(FaultyCalls::Only(Call::Sync), 1, FaultKind::Eio, Repeat::Once);
    let error = node.ask(create("orders", 1)).expect_err("cannot be written");
    assert_eq!(error.code(), ErrorCode::NOT_CONTROLLER);
    assert!(!node.runner.standing().is_active);
    assert_eq!(node.runner.tick(node.now, Duration::ZERO), None);
    assert_eq!(node.ask(create("bills", 2)).expect_err("is over").code(), ErrorCode::NOT_CONTROLLER);
    let notices = node.mouth.notices.lock().clone();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].level == LogLevel::Error && notices[0].text.contains("sync segment"), "{notices:?}");
    assert!(node.runner.standing().image.topic_named("orders").is_none());
}

#[test]
fn requests_of_other_nodes_are_answered_by_way_of_the_peers() {
    let mut node = Alone::open(sim_place(&SimDisk::new(1), SEGMENT_BYTES));
    node.lead();
    node.runner.handle_request(NodeId(9), 77, create("orders", 1), Bringer::Stays, node.now);
    let (to, response) = node.mouth.replies.lock().pop().expect("an answer");
    assert_eq!(to, NodeId(9));
    assert_eq!(response.result.expect("is created"), Reply::TopicCreated { id: [1; 16] });
}

#[test]
fn who_brings_a_sign_of_life_does_no_work_that_waits_for_the_disk() {
    let mut node = Alone::open(sim_place(&SimDisk::new(1), SEGMENT_BYTES));
    node.lead();
    node.runner.handle_request(NodeId(9), 77, create("orders", 1), Bringer::Leaves, node.now);
    let node_epoch = node.runner.standing().image.node(NodeId(0)).expect("is registered").registration.epoch;
    let beat =
        Heartbeat { node: NodeId(0), node_epoch, metadata_offset: 0, wants_fenced: false, wants_shutdown: false };
    let answer = Arc::new(Mutex::new(None));
    let into = answer.clone();
    let waiter = Box::new(move |response: ControllerResponse| *into.lock() = Some(response.result));
    node.runner.ask(ControllerRequest::Heartbeat(beat), waiter, node.now);
    assert!(node.runner.standing().image.topic_named("orders").is_none(), "nobody has written it down");
    assert!(node.mouth.is_called.swap(false, Ordering::SeqCst), "somebody is asked to");
    node.runner.tick(node.now, Duration::ZERO);
    assert!(node.runner.standing().image.topic_named("orders").is_some());
    assert!(matches!(answer.lock().take(), Some(Ok(Reply::Heartbeat { is_fenced: false, .. }))));
}

#[test]
fn ticks_while_a_sync_takes_long_neither_pile_up_nor_ask_to_come_again_at_once() {
    let place = sim_place(&SimDisk::new(1), SEGMENT_BYTES);
    let disk = CountingDisk::new(Arc::clone(&place.disk));
    let mut node = Alone::open(MetadataPlace { disk: Arc::new(disk.clone()), ..place });
    node.lead();
    let ((begun, has_begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    let may_go_on = Mutex::new(may_go_on);
    disk.before_syncs(move || {
        let _ = begun.send(());
        let _ = may_go_on.lock().recv(); // at once when there is no sender any more
    });
    let (told, answers) = mpsc::channel();
    let waiter = || {
        let told = told.clone();
        Box::new(move |response: ControllerResponse| told.send(response.result).expect("somebody listens"))
    };
    std::thread::scope(|threads| {
        threads.spawn(|| node.runner.ask(create("orders", 1), waiter(), node.now));
        has_begun.recv().expect("it is written down");
        let times = (1..2 * INBOX_MAX).map(|n| node.now + Duration::from_millis(1) * u32::try_from(n).expect("few"));
        let is_at_once = |now: Instant| node.runner.tick(now, Duration::ZERO).is_none_or(|at| at <= now);
        let at_once = times.filter(|now| is_at_once(*now)).count();
        let now = node.now + Duration::from_secs(60);
        node.runner.ask(create("bills", 2), waiter(), now);
        drop(go_on);
        for _ in 0..2 {
            answers.recv().expect("is answered").expect("there is room for it");
        }
        assert_eq!(at_once, 0, "it would turn and turn");
    });
}

#[test]
fn many_threads_ask_and_each_gets_its_own_answer() {
    let dir = tempfile::tempdir().expect("temp dir");
    let clock = Arc::new(crate::time::SystemClock::new());
    let disk = Arc::new(crate::disk::RealDisk);
    let place = place_on(disk, clock, dir.path().to_owned(), MetadataPlace::SEGMENT_BYTES);
    let mut node = Alone::open(place);
    node.lead();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (runner, now) = (node.runner.clone(), node.now);
            scope.spawn(move || {
                for turn in 0..25u8 {
                    let (tell, answer) = std::sync::mpsc::channel();
                    let number = 1 + thread * 25 + turn;
                    let waiter = Box::new(move |response: ControllerResponse| {
                        tell.send(response.result).expect("somebody waits");
                    });
                    runner.ask(create(&format!("t{number}"), number), waiter, now);
                    let answer = answer.recv_timeout(Duration::from_secs(60)).expect("is answered");
                    assert_eq!(answer.expect("is created"), Reply::TopicCreated { id: [number; 16] });
                }
            });
        }
    });
    assert_eq!(node.runner.standing().image.topics().count(), 100);
    let offsets: Vec<u64> = node.mouth.images.lock().iter().map(|image| image.offset()).collect();
    assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "images come in order: {offsets:?}");
}
