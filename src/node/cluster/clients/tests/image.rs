use crate::controller::{Image, LeaderRecovery, MetadataRecord, NodeRegistration, NodeStanding, PartitionState};
use crate::error::ErrorCode;
use crate::node::cluster::clients::describe;
use crate::transport::ClusterId;
use crate::types::{LeaderEpoch, NodeId};

const STANDINGS: [(u32, NodeStanding); 3] =
    [(1, NodeStanding::Unfenced), (2, NodeStanding::Fenced), (3, NodeStanding::InControlledShutdown)];

fn image() -> Image {
    let nodes = STANDINGS.map(|(number, standing)| {
        let registration = NodeRegistration {
            node: NodeId(number),
            incarnation: 1,
            epoch: 1,
            address: format!("tcp://node{number}:1"),
            rack: Some("r".into()),
            holds_data: true,
        };
        MetadataRecord::NodeRegistered { registration, standing }
    });
    let state = PartitionState {
        replicas: vec![NodeId(1), NodeId(2), NodeId(3)],
        adding: vec![],
        removing: vec![],
        isr: vec![NodeId(1)],
        elr: vec![],
        last_known_leader: None,
        leader: Some(NodeId(1)),
        leader_epoch: LeaderEpoch(4),
        partition_epoch: 9,
        recovery: LeaderRecovery::Recovered,
    };
    let topic = [
        MetadataRecord::TopicCreated { name: "logs".into(), id: [7; 16], settings: vec![] },
        MetadataRecord::PartitionChanged { topic: [7; 16], partition: 0, state },
    ];
    let records: Vec<MetadataRecord> = nodes.into_iter().chain(topic).collect();
    Image::from_records(42, &records).unwrap()
}

#[test]
fn the_image_is_told_in_the_words_of_clients() {
    let (image, cluster) = (image(), ClusterId([5; 16]));
    let all = describe(&image, cluster, Some(NodeId(3)), None);
    assert_eq!((all.cluster, all.controller, all.metadata_offset), (cluster, Some(NodeId(3)), 42));
    let nodes: Vec<_> = all.nodes.iter().map(|node| (node.node.0, &*node.address)).collect();
    assert_eq!(nodes, [(1, "tcp://node1:1"), (3, "tcp://node3:1")], "those that are alive");
    let described = all.topics[0].description.as_ref().unwrap();
    assert_eq!((&*all.topics[0].name, described.id), ("logs", [7; 16]));
    let partition = &described.partitions[0];
    assert_eq!((partition.partition, partition.leader, partition.leader_epoch), (0, Some(NodeId(1)), LeaderEpoch(4)));
    assert_eq!((&partition.isr[..], &partition.offline_replicas[..]), (&[NodeId(1)][..], &[NodeId(2)][..]));
}

#[test]
fn a_topic_that_is_not_there_is_said_to_be_unknown() {
    let some = describe(&image(), ClusterId::default(), None, Some(&["none".into(), "logs".into()]));
    assert_eq!(some.topics[0].description.as_ref().unwrap_err().code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(some.topics[1].description.is_ok());
}
