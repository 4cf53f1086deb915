//! What the shared library shows to the linker.

use crate::kit::{has_or_skip, root, shared_library, succeeded};
use std::process::Command;

/// The functions that the library exports, in alphabetical order.
fn exported() -> Vec<String> {
    let table = succeeded(Command::new("nm").args(["-D", "--defined-only"]).arg(shared_library()));
    let mut names: Vec<String> =
        table.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_library_exports_the_functions_of_the_list_and_nothing_else() {
    if !has_or_skip("nm") {
        return;
    }
    let listed = std::fs::read_to_string(root().join("ffi-tests/symbols.txt")).expect("the list is committed");
    let mut listed: Vec<String> = listed.lines().map(str::to_owned).collect();
    if cfg!(feature = "ffi-panic-injection") {
        listed.push("kafkalog_test_panic".to_owned());
        listed.sort_unstable();
    }
    // A function that went breaks programs; one that came belongs into the list.
    assert_eq!(exported(), listed);
}

#[test]
fn the_header_declares_what_the_library_exports() {
    let listed = std::fs::read_to_string(root().join("ffi-tests/symbols.txt")).expect("the list is committed");
    let header = std::fs::read_to_string(root().join("include/kafkalog.h")).expect("the header is committed");
    let mut declared: Vec<&str> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#', '}']) && !line.starts_with("typedef"))
        .filter_map(|line| line.split_once('('))
        .filter_map(|(before, _)| before.rsplit([' ', '*']).next())
        .collect();
    declared.sort_unstable();
    assert_eq!(declared, listed.lines().collect::<Vec<_>>());
}

#[test]
fn the_soname_carries_the_abi_version() {
    if !has_or_skip("readelf") {
        return;
    }
    let dynamic = succeeded(Command::new("readelf").arg("-d").arg(shared_library()));
    let soname = format!("[libkafkalog.so.{}]", env!("CARGO_PKG_VERSION_MAJOR"));
    assert!(dynamic.lines().any(|line| line.contains("SONAME") && line.contains(&soname)), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "a library that has started threads must not be unloaded");
}
