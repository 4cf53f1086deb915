//! What a leader hands out may be damaged on its disk.

use super::*;
use crate::node::LogLevel;

/// One fetch of node 2, whose answer is changed on the way; the error lines that node 2 says.
fn fetch_changed(trio: &Trio, change: impl FnOnce(&mut Vec<u8>)) -> Vec<String> {
    trio.clock.advance(trio.config.fetch_backoff);
    let now = trio.clock.monotonic();
    let request = trio.of(2).poll_fetch(NodeId(1), now).expect("a fetch is due");
    let (from, node_epoch) = (NodeId(2), NodeEpoch(1));
    let serving = Serving { from, node_epoch, is_new: true, known: None, bytes_max: BYTES, is_first: true };
    let mut answer = trio.of(1).serve_fetch(serving, &request, now).expect("there is something new");
    if let FetchOutcome::Records(records) = &mut answer.outcome {
        let mut bytes = records.to_vec();
        change(&mut bytes);
        *records = bytes.into();
    }
    trio.of(2).handle_fetch_response(NodeId(1), answer, now);
    let mut said = Vec::new();
    while let Some(notice) = trio.replicas[1].node.poll_notice() {
        if notice.level == LogLevel::Error {
            said.push(notice.text);
        }
    }
    said
}

#[test]
fn a_follower_refuses_damaged_records_says_so_once_and_takes_them_when_they_are_sound() {
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    trio.put(1, "one", Acks::Leader).expect("appends");
    trio.catch_up(2);
    for value in ["two", "three"] {
        trio.put(1, value, Acks::Leader).expect("appends");
    }
    let end = || trio.of(2).offsets().expect("offsets").log_end;
    let flip = |at: usize| move |bytes: &mut Vec<u8>| bytes[at] ^= 0x40;
    let said = fetch_changed(&trio, flip(65));
    assert!(said.len() == 1 && said[0].contains("node 1, its leader, has damaged records from 1 on"), "{said:?}");
    assert_eq!((end(), fetch_changed(&trio, flip(65))), (Offset(1), Vec::new()), "it was said already");
    // What the checksum does not cover: a base offset that jumps ahead, an epoch that is not yet.
    fetch_changed(&trio, flip(7));
    fetch_changed(&trio, flip(15));
    assert_eq!(end(), Offset(1));
    while end() < Offset(2) {
        assert_eq!(fetch_changed(&trio, |_| ()), Vec::<String>::new(), "sound ones are taken");
    }
    if end() == Offset(2) {
        assert_eq!(fetch_changed(&trio, flip(65)).len(), 1, "damage at another place");
        fetch_changed(&trio, |_| ());
    }
    assert!(end() == Offset(3) && trio.bytes(2) == trio.bytes(1));
}

#[test]
fn a_leader_whose_records_are_not_where_they_have_to_be_says_so_and_so_does_its_follower() {
    use std::os::unix::fs::FileExt;
    let mut trio = Trio::new(&[]);
    trio.reign(Some(1), &[1, 2, 3]);
    for value in ["one", "two", "three"] {
        trio.put(1, value, Acks::Leader).expect("appends");
    }
    // The first base offset jumps ahead of the log end. Nobody has read, so that nothing is kept in memory.
    let segment = trio.replicas[0]._dir.path().join("t-0/00000000000000000000.log");
    let file = std::fs::File::options().write(true).open(segment).expect("the segment");
    file.write_all_at(&[0x40], 6).expect("flips");
    let said = fetch_changed(&trio, |_| ());
    assert!(said.len() == 1 && said[0].contains("CORRUPT_MESSAGE"), "{said:?}");
    let leader_says = trio.replicas[0].node.poll_notice();
    let is_about_damage = |text: &str| text.contains("its records from 0 on are damaged here");
    let mut said = leader_says.into_iter().chain(std::iter::from_fn(|| trio.replicas[0].node.poll_notice()));
    assert!(said.any(|notice| notice.level == LogLevel::Error && is_about_damage(&notice.text)));
    drop(said);
    assert_eq!(fetch_changed(&trio, |_| ()), Vec::<String>::new(), "once");
    assert_eq!(trio.of(2).offsets().expect("offsets").log_end, Offset(0));
}
