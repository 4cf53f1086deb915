use super::*;
use crate::error::ErrorCode;
use crate::testing::shared;
use std::collections::BTreeSet;
use std::fs;

/// Every name below a directory, with contents, so that "nothing changed" can be compared.
fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("lists") {
        let entry = entry.expect("entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            all.extend(tree(&entry.path()).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            all.push((name, fs::read(entry.path()).expect("reads")));
        }
    }
    all.sort();
    all
}

fn refused(place: &Place, settings: &[(&str, &str)]) -> crate::error::Error {
    let before = tree(place.path());
    let error = place.try_open(settings).expect_err("is refused");
    assert_eq!(tree(place.path()), before, "a refusal changes nothing: {error}");
    error
}

#[test]
fn a_directory_is_open_once_at_a_time() {
    let place = Place::new();
    let node = place.open(&[]);
    assert_eq!(refused(&place, &[]).code(), ErrorCode::STATE);
    close(&node);
    place.open(&[]);
}

#[test]
fn a_directory_of_another_node_is_refused_naming_both() {
    let place = Place::new();
    close(&place.open(&[("node.id", "7")]));
    let error = refused(&place, &[("node.id", "8")]);
    assert_eq!(error.code(), ErrorCode::STATE);
    assert!(error.message().contains('7') && error.message().contains('8'), "{error}");
    let node = place.open(&[]);
    assert_eq!(node.identity().node_id, Some(crate::types::NodeId(7)), "-1 takes the directory's own");
}

#[test]
fn a_newer_catalogue_is_refused_and_so_is_a_damaged_one() {
    let place = Place::new();
    let node = place.open(&[]);
    node.create_topic("t", 1, 1, &overrides(&[])).expect("creates");
    close(&node);
    let path = place.path().join(super::super::catalogue::TOPICS_FILE);
    let good = fs::read(&path).expect("reads");
    let mut bad = good.clone();
    bad[11] = 3;
    fs::write(&path, &bad).expect("writes");
    let error = refused(&place, &[]);
    assert_eq!(error.code(), ErrorCode::UNSUPPORTED_VERSION);
    assert!(error.message().contains("format 3") && error.message().contains("up to 2"), "{error}");
    bad.clone_from(&good);
    bad[30] ^= 1;
    fs::write(&path, &bad).expect("writes");
    assert_eq!(refused(&place, &[]).code(), ErrorCode::CORRUPT_MESSAGE);
    fs::write(&path, &good).expect("writes");
    assert_eq!(place.open(&[]).topics().len(), 1);
}

#[test]
fn after_an_orderly_end_nothing_is_scanned_and_after_a_crash_only_what_was_behind() {
    let place = Place::new();
    let node = place.open(&[]);
    node.create_topic("t", 2, 1, &overrides(&[])).expect("creates");
    for number in 0..2 {
        let partition = node.partition("t", number).expect("is there");
        for _ in 0..100 {
            put(&partition, b"value").expect("appends");
        }
    }
    close(&node);
    let node = place.open(&[]);
    assert_eq!(count(&node.partition("t", 0).expect("is there")), 100);
    assert_eq!(node.stats().recovery_scanned_bytes, 0);
    drop(node); // as a crash would: partition 1 was not even opened
    let node = place.open(&[]);
    assert_eq!(count(&node.partition("t", 0).expect("is there")), 100);
    close(&node);
    let node = place.open(&[]);
    assert_eq!(count(&node.partition("t", 1).expect("is there")), 100);
    assert_eq!(node.stats().recovery_scanned_bytes, 0, "the close recovered what nobody had touched");
}

#[test]
fn a_directory_that_kafka_wrote_is_taken_over_with_its_topics() {
    let Some(shared) = shared() else { return };
    let place = Place::new();
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(shared.join("vectors/segments")).expect("lists").map(|e| e.expect("entry")) {
        if entry.path().is_dir() {
            let to = place.path().join(entry.file_name());
            fs::create_dir(&to).expect("creates");
            for file in fs::read_dir(entry.path()).expect("lists").map(|e| e.expect("entry")) {
                fs::copy(file.path(), to.join(file.file_name())).expect("copies");
            }
            names.insert(entry.file_name().to_string_lossy().rsplit_once('-').expect("has a number").0.to_owned());
        }
    }
    let node = place.open(&[]);
    assert_eq!(node.topics().iter().map(|t| t.name.to_string()).collect::<BTreeSet<_>>(), names);
    for topic in node.topics() {
        let partition = node.partition(&topic.name, 0).expect("is there");
        let offsets = partition.offsets().unwrap_or_else(|e| panic!("{}: {e}", topic.name));
        assert!(offsets.log_end >= offsets.log_start, "{}: {offsets:?}", topic.name);
    }
    close(&node);
    assert_eq!(place.open(&[]).topics().len(), names.len(), "from the catalogue this time");
}

#[test]
fn what_is_not_a_partition_is_left_alone() {
    let place = Place::new();
    for dir in ["lost+found", "remote-log-index-cache", "t-0.0123456789abcdef0123456789abcdef-stray"] {
        fs::create_dir(place.path().join(dir)).expect("creates");
    }
    fs::write(place.path().join("notes.txt"), "mine").expect("writes");
    let before = tree(place.path());
    let node = place.open(&[]);
    assert!(node.topics().is_empty());
    close(&node);
    let after = tree(place.path());
    assert!(before.iter().all(|file| after.contains(file)));
    assert!(place.path().join("lost+found").is_dir());
}

#[test]
fn a_place_that_is_no_directory_or_has_no_parent_is_refused() {
    let place = Place::new();
    let file = place.path().join("file");
    fs::write(&file, "x").expect("writes");
    for dir in [file.clone(), file.join("below"), place.path().join("no/parent")] {
        let world = World { clock: place.clock.clone(), disk: place.disk.clone(), seed: 1 };
        let error = Node::open(&dir, EngineConfig::default(), world).expect_err("is refused");
        assert_eq!(error.code(), ErrorCode::LOG_DIR_NOT_FOUND, "{}: {error}", dir.display());
    }
    assert_eq!(fs::read(&file).expect("reads"), b"x");
}
