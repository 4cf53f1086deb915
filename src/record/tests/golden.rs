//! Batches written down byte by byte by somebody else.

use super::*;
use crate::record::control::{end_txn_marker, parse_end_txn_value, ControlType, TxnResult};
use crate::types::{LeaderEpoch, NodeId, Offset, ProducerStamp};

const ONE: &str =
    "00000000000000000000003a0000000002716a618900000000000000000000000003e800000000000003e8fffffffffffffffffffff\
    fffffff0000000110000000026b027600";
const THREE: &str =
    "00000000000000050000005500000003024bf968f700000000000200000000000003e800000000000003ed000000000000000700010\
    000000a0000000314000000046b31047631001e000a02010476320402680278026e0110000504046b330100";
const COMMIT: &str =
    "0000000000000008000000420000000302fb5d18a500300000000000000000000007d000000000000007d0000000000000000700\
    01ffffffff000000012000000008000000010c00000000000900";
const EMPTIED: &str =
    "000000000000000a000000310000000302cf556428000000000002ffffffffffffffff00000000000001f400000000000000070\
    0010000000a00000000";

fn stamp(base_sequence: Option<i32>) -> Option<ProducerStamp> {
    Some(ProducerStamp { id: 7, epoch: 1, base_sequence })
}

fn three_records() -> Vec<Owned> {
    let mut second = Owned::new(1005, None, Some(b"v2"));
    second.headers = vec![(b"h".to_vec(), Some(b"x".to_vec())), (b"n".to_vec(), None)];
    vec![Owned::new(1000, Some(b"k1"), Some(b"v1")), second, Owned::new(997, Some(b"k3"), None)]
}

#[test]
fn one_record_becomes_the_golden_bytes_and_back() {
    let records = [Owned::new(1000, Some(b"k"), Some(b"v"))];
    let mut batch = built(Codec::None, &records);
    batch.stamp(Offset(0), LeaderEpoch(0));
    assert_eq!(batch.bytes(), unhex(ONE));
    assert_eq!(read(&unhex(ONE)).unwrap(), records);
}

#[test]
fn three_records_with_nulls_headers_and_a_step_back_in_time_become_the_golden_bytes_and_back() {
    let mut builder = BatchBuilder::new(Codec::None, None);
    for (index, record) in three_records().iter().enumerate() {
        assert_eq!(record.append_to(&mut builder).unwrap() as usize, index);
    }
    let mut batch = builder.seal(stamp(Some(10)), false).unwrap();
    batch.stamp(Offset(5), LeaderEpoch(3));
    assert_eq!(batch.bytes(), unhex(THREE));
    assert_eq!(read(&unhex(THREE)).unwrap(), three_records());

    let bytes = unhex(THREE);
    let view = BatchView::parse(&bytes).unwrap();
    assert_eq!((view.header().last_offset(), view.header().end_offset()), (Offset(7), Offset(8)));
    assert_eq!((view.header().max_timestamp, view.header().last_sequence()), (1005, Some(12)));
    let mut inflate = Inflater::new(LIMIT);
    let places: Vec<_> =
        view.records(&mut inflate).unwrap().map(|r| r.unwrap()).map(|r| (r.offset, r.sequence)).collect();
    assert_eq!(places, [(Offset(5), Some(10)), (Offset(6), Some(11)), (Offset(7), Some(12))]);
}

#[test]
fn a_commit_marker_becomes_the_golden_bytes_and_back() {
    let mut marker = end_txn_marker(7, 1, TxnResult::Commit, 9, Timestamp(2000));
    marker.stamp(Offset(8), LeaderEpoch(3));
    let golden = unhex(COMMIT);
    assert_eq!(marker.bytes(), golden);

    let view = BatchView::parse(&golden).unwrap();
    assert!(view.header().is_control() && view.header().is_transactional());
    assert_eq!(view.header().producer, stamp(None));
    let records = read(&golden).unwrap();
    assert_eq!(ControlType::parse(records[0].key.as_ref().unwrap()).unwrap(), ControlType::Commit);
    assert_eq!(parse_end_txn_value(records[0].value.as_ref().unwrap()).unwrap(), 9);
}

#[test]
fn a_batch_that_compaction_emptied_reads_as_no_records_and_keeps_its_place() {
    let golden = unhex(EMPTIED);
    let view = BatchView::parse(&golden).unwrap();
    view.verify().unwrap();
    assert_eq!((view.header().base_offset, view.header().end_offset()), (Offset(10), Offset(13)));
    assert_eq!((view.header().max_timestamp, view.header().last_sequence()), (500, Some(12)));
    assert_eq!(read(&golden).unwrap(), []);
}

#[test]
fn the_checksum_is_castagnolis() {
    let rising: Vec<u8> = (0..32).collect();
    let falling: Vec<u8> = (0..32).rev().collect();
    let table: [(&[u8], u32); 8] = [
        (b"Some String", 0x2445_290f),
        (b"123456789", 0xe306_9283),
        (&[0; 32], 0x8a91_36aa),
        (&[0xff; 32], 0x62a8_ab43),
        (&rising, 0x46dd_794e),
        (&falling, 0x113f_db5c),
        (b"a", 0xc1d0_4330),
        (b"", 0),
    ];
    for (bytes, crc) in table {
        assert_eq!(crc32c(bytes), crc, "{bytes:x?}");
    }
}

#[test]
fn a_leader_change_has_the_fields_of_kafkas_message() {
    let nodes = [NodeId(1), NodeId(2), NodeId(3)];
    let batch = control::leader_change(NodeId(2), &nodes, &nodes[1..], Timestamp(5));
    assert!(batch.header().is_control() && !batch.header().is_transactional());
    let record = &read(batch.bytes()).unwrap()[0];
    assert_eq!(ControlType::parse(record.key.as_ref().unwrap()).unwrap(), ControlType::LeaderChange);
    let value = record.value.as_ref().unwrap();
    // Version, leader, three voters, two that granted; every struct ends with a count of tagged fields.
    assert_eq!(*value, unhex("00000000000204000000010000000002000000000300030000000200000000030000"));
    assert_eq!(control::parse_leader_change_value(value).unwrap(), NodeId(2));
}

#[test]
fn control_keys_come_back_and_short_or_negative_ones_are_refused() {
    for number in -1..9i16 {
        let key = [&[0, 0][..], &number.to_be_bytes()].concat();
        assert_eq!(ControlType::parse(&key).unwrap().key()[..], key);
    }
    assert_eq!(code(ControlType::parse(&[0, 0, 0])), ErrorCode::INVALID_RECORD);
    assert_eq!(code(ControlType::parse(&[0xff, 0xff, 0, 0])), ErrorCode::INVALID_RECORD);
    assert_eq!(code(parse_end_txn_value(&[0; 5])), ErrorCode::INVALID_RECORD);
    assert_eq!(parse_end_txn_value(&[0, 0, 0, 0, 0, 9, 1, 1]).unwrap(), 9);
}
