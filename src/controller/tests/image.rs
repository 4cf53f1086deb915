use super::world::{create, nodes, state, World, TOPIC};
use crate::controller::*;
use crate::error::ErrorCode;
use crate::types::{LeaderEpoch, NodeId};

#[test]
fn a_snapshot_of_the_image_is_the_image() {
    let mut world = World::with_topic(3, &[0, 1, 2], &[("min.insync.replicas", "2")]);
    world.fence(2);
    let bytes = encode_records(&world.image.to_records());
    let again = Image::from_records(world.image.offset(), &decode_records(&bytes).unwrap()).unwrap();
    assert_eq!(again, world.image);
}

#[test]
fn applying_says_what_changed() {
    let mut world = World::with_topic(2, &[0, 1], &[]);
    let before = world.partition(0).clone();
    let outcome = world.decide(|decider| decider.fence_node(NodeId(0)));
    let changes = world.image.apply_entry(world.image.offset() + 1, &outcome.records).unwrap();
    assert_eq!(changes[0], Change::Node { node: NodeId(0) });
    let Change::Partition { name, partition: 0, before: was, after, .. } = &changes[1] else { panic!("{changes:?}") };
    assert_eq!((&**name, was.as_deref(), &**after), (TOPIC, Some(&before), world.partition(0)));
    assert_eq!(changes.len(), 2);
}

#[test]
fn what_separates_two_images_is_what_a_snapshot_changed() {
    let earlier = World::with_topic(2, &[0, 1], &[]);
    let mut later = World::with_topic(2, &[0, 1], &[]);
    later.fence(1);
    later.ask(&ControllerRequest::CreateTopic(create("new", 2))).unwrap();
    let changes = later.image.changes_since(&earlier.image);
    assert!(matches!(changes[0], Change::Node { node: NodeId(1) }));
    assert!(matches!(&changes[1], Change::Partition { before: Some(_), .. }));
    assert!(matches!(&changes[2], Change::TopicCreated { id } if *id == [2; 16]));
    assert!(matches!(&changes[3], Change::Partition { before: None, .. }));
    assert_eq!(changes.len(), 4);
    let back = earlier.image.changes_since(&later.image);
    assert!(matches!(&back[0], Change::TopicRemoved { topic } if &*topic.name == "new"));
}

#[test]
fn impossible_records_are_errors_and_not_panics() {
    let world = World::with_topic(2, &[0, 1], &[]);
    let id = world.image.topic_named(TOPIC).unwrap().id;
    let now = world.partition(0).clone();
    let changed = |change: &dyn Fn(&mut PartitionState)| {
        let mut state = now.clone();
        state.partition_epoch += 1;
        change(&mut state);
        MetadataRecord::PartitionChanged { topic: id, partition: 0, state }
    };
    let registration = world.image.node(NodeId(0)).unwrap().registration.clone();
    let impossible = [
        MetadataRecord::TopicRemoved { id: [9; 16] },
        MetadataRecord::TopicSettingsChanged { id: [9; 16], settings: Vec::new() },
        MetadataRecord::TopicCreated { name: TOPIC.into(), id: [9; 16], settings: Vec::new() },
        MetadataRecord::TopicCreated { name: "other".into(), id, settings: Vec::new() },
        MetadataRecord::NodeRemoved { node: NodeId(8), epoch: 1 },
        MetadataRecord::NodeStandingChanged { node: NodeId(0), epoch: 99, standing: NodeStanding::Fenced },
        MetadataRecord::NodeRegistered {
            registration: NodeRegistration { incarnation: 5, epoch: 0, ..registration },
            standing: NodeStanding::Fenced,
        },
        MetadataRecord::PartitionChanged {
            topic: id,
            partition: 5,
            state: PartitionState { partition_epoch: 0, ..now.clone() },
        },
        MetadataRecord::PartitionChanged { topic: id, partition: 0, state: now.clone() },
        changed(&|state| state.partition_epoch += 1),
        changed(&|state| state.leader = Some(NodeId(1))),
        changed(&|state| state.isr = nodes(&[1])),
        changed(&|state| state.isr = nodes(&[0, 0])),
        changed(&|state| state.isr = nodes(&[0, 7])),
        changed(&|state| state.elr = nodes(&[1])),
        changed(&|state| state.replicas.clear()),
        changed(&|state| state.adding = nodes(&[6])),
    ];
    for record in impossible {
        let mut image = world.image.clone();
        let error = image.apply_entry(image.offset() + 1, std::slice::from_ref(&record)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE, "{record:?}");
        assert!(error.is_fatal());
    }
    let mut image = world.image.clone();
    assert!(image.apply_entry(image.offset(), &[]).is_err(), "offsets ascend");
    let fine = changed(&|state| {
        state.leader_epoch = LeaderEpoch(1);
        state.leader = Some(NodeId(1));
    });
    image.apply_entry(image.offset() + 1, &[fine]).unwrap();
}

#[test]
fn a_snapshot_may_begin_at_any_epoch() {
    let created = MetadataRecord::TopicCreated { name: "t".into(), id: [1; 16], settings: Vec::new() };
    let partition =
        MetadataRecord::PartitionChanged { topic: [1; 16], partition: 0, state: state(&[1], &[1], Some(1)) };
    let image = Image::from_records(50, &[created, partition]).unwrap();
    assert_eq!((image.offset(), image.partition_count()), (50, 1));
    assert_eq!(image.partition(&[1; 16], 0).unwrap().partition_epoch, 7);
}
