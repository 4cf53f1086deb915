use super::world::{nodes, state};
use crate::controller::*;
use crate::error::ErrorCode;
use crate::types::NodeId;

fn one_of_each() -> Vec<MetadataRecord> {
    let registration = NodeRegistration {
        node: NodeId(7),
        incarnation: u64::MAX,
        epoch: 12,
        address: "host:9092".into(),
        rack: Some("r1".into()),
        holds_data: true,
    };
    let settings = vec![("min.insync.replicas".to_owned(), "2".to_owned()), ("retention.ms".to_owned(), String::new())];
    let mut moving = state(&[1, 2, 3, 4], &[1, 2], Some(2));
    moving.adding = nodes(&[4]);
    moving.removing = nodes(&[3]);
    moving.elr = nodes(&[3]);
    moving.last_known_leader = Some(NodeId(9));
    moving.recovery = LeaderRecovery::Recovering;
    vec![
        MetadataRecord::NodeRegistered { registration: registration.clone(), standing: NodeStanding::Fenced },
        MetadataRecord::NodeRegistered {
            registration: NodeRegistration { rack: None, holds_data: false, ..registration },
            standing: NodeStanding::InControlledShutdown,
        },
        MetadataRecord::NodeStandingChanged { node: NodeId(7), epoch: 12, standing: NodeStanding::Unfenced },
        MetadataRecord::NodeRemoved { node: NodeId(0), epoch: 3 },
        MetadataRecord::TopicCreated { name: "größe".into(), id: [3; 16], settings: settings.clone() },
        MetadataRecord::TopicSettingsChanged { id: [3; 16], settings },
        MetadataRecord::TopicRemoved { id: [0xff; 16] },
        MetadataRecord::PartitionChanged { topic: [3; 16], partition: u32::MAX, state: moving },
        MetadataRecord::PartitionChanged { topic: [3; 16], partition: 0, state: state(&[1], &[], None) },
    ]
}

#[test]
fn every_record_comes_back_as_it_was() {
    let records = one_of_each();
    assert_eq!(decode_records(&encode_records(&records)).unwrap(), records);
    assert_eq!(decode_records(&encode_records(&[])).unwrap(), []);
}

#[test]
fn the_bytes_of_a_record_are_those_of_the_drawing() {
    let record = MetadataRecord::NodeStandingChanged { node: NodeId(7), epoch: 12, standing: NodeStanding::Unfenced };
    let expected = [0, 0, 0, 1, /* type */ 2, /* version */ 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 12, 1];
    assert_eq!(encode_records(&[record]), expected);
}

#[test]
fn records_that_are_cut_anywhere_are_refused() {
    for record in one_of_each() {
        let bytes = encode_records(&[record]);
        for end in 0..bytes.len() {
            assert_eq!(decode_records(&bytes[..end]).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE, "{end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(decode_records(&longer).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
    }
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_allocated() {
    for record in one_of_each() {
        let bytes = encode_records(&[record]);
        for at in 0..bytes.len().saturating_sub(3) {
            let mut lying = bytes.clone();
            lying[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
            // Some places are no lengths and any number is fine there; what matters is that it comes back, and quickly.
            if let Err(error) = decode_records(&lying) {
                assert!([ErrorCode::CORRUPT_MESSAGE, ErrorCode::UNSUPPORTED_VERSION].contains(&error.code()));
            }
        }
    }
    assert_eq!(decode_records(&u32::MAX.to_be_bytes()).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn a_type_or_version_from_the_future_is_named() {
    for at in [4, 5] {
        let mut bytes = encode_records(&[MetadataRecord::TopicRemoved { id: [1; 16] }]);
        bytes[at] = 99;
        let error = decode_records(&bytes).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UNSUPPORTED_VERSION);
        assert!(error.message().contains("99"), "{error}");
    }
}

#[test]
fn random_bytes_never_harm() {
    let mut rng = fastrand::Rng::with_seed(7);
    let valid = encode_records(&one_of_each());
    for _ in 0..20_000 {
        let mut bytes = valid.clone();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(..bytes.len());
            bytes[at] = rng.u8(..);
        }
        if let Ok(records) = decode_records(&bytes) {
            assert_eq!(decode_records(&encode_records(&records)).unwrap(), records);
            let _ = Image::from_records(9, &records);
        }
    }
}

#[cfg(feature = "quorum")]
mod quorum {
    use super::*;
    use bytes::Bytes;

    fn messages() -> Vec<RaftMessage> {
        let entry = |index, kind| RaftEntry { index, term: 4, kind, data: Bytes::from_static(b"abc") };
        let plain = RaftMessage {
            verb: RaftVerb::Append,
            term: 4,
            log_term: 3,
            index: 9,
            commit: 8,
            commit_term: 2,
            request_snapshot: 1,
            reject: true,
            reject_hint: 5,
            context: Bytes::from_static(b"CampaignTransfer"),
            entries: vec![entry(10, EntryKind::Records), entry(11, EntryKind::Membership)],
            snapshot: None,
        };
        let snapshot = RaftSnapshot {
            index: 5,
            term: 2,
            voters: nodes(&[0, 1]),
            learners: nodes(&[2]),
            records: encode_records(&one_of_each()).into(),
        };
        let with_snapshot =
            RaftMessage { verb: RaftVerb::Snapshot, entries: Vec::new(), snapshot: Some(snapshot), ..plain.clone() };
        vec![plain, with_snapshot]
    }

    #[test]
    fn messages_come_back_as_they_were_and_cut_ones_are_refused() {
        for message in messages() {
            let bytes = message.encode();
            assert_eq!(RaftMessage::decode(&bytes).unwrap(), message);
            for end in 0..bytes.len() {
                assert_eq!(RaftMessage::decode(&bytes[..end]).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
            }
            for at in 0..bytes.len() - 3 {
                let mut lying = bytes.clone();
                lying[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
                let _ = RaftMessage::decode(&lying);
            }
        }
    }

    #[test]
    fn messages_of_unknown_verbs_and_versions_are_named() {
        for at in [0, 1] {
            let mut bytes = messages()[0].encode();
            bytes[at] = 77;
            assert_eq!(RaftMessage::decode(&bytes).unwrap_err().code(), ErrorCode::UNSUPPORTED_VERSION);
        }
    }

    #[test]
    fn a_snapshot_without_voters_or_with_a_node_twice_is_refused() {
        let good = messages()[1].snapshot.clone().unwrap();
        assert_eq!(RaftSnapshot::decode(&good.encode()).unwrap(), good);
        for bad in [
            RaftSnapshot { voters: Vec::new(), ..good.clone() },
            RaftSnapshot { learners: nodes(&[1]), ..good.clone() },
            RaftSnapshot { index: 0, ..good },
        ] {
            assert_eq!(RaftSnapshot::decode(&bad.encode()).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE);
        }
    }
}
