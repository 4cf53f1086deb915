//! C and Rust mean the same bytes, and the versions agree.

use crate::kit::{compile, root, run, Linked, C99};
use kafkalog::ffi::{
    kafkalog_append_opts_t, kafkalog_bytes_t, kafkalog_delivery_t, kafkalog_header_t, kafkalog_packed_t,
    kafkalog_record_t, kafkalog_transport_vtable_t, kafkalog_view_t,
};
use std::fmt::Write;
use std::mem::{offset_of, size_of};

macro_rules! layout {
    ($into:ident, $type:ident: $($member:ident)*) => {
        writeln!($into, "{} {}", stringify!($type), size_of::<$type>()).expect("a String takes everything");
        $(writeln!($into, "{}.{} {}", stringify!($type), stringify!($member), offset_of!($type, $member))
            .expect("a String takes everything");)*
    };
}

#[test]
fn every_member_of_every_struct_lies_where_c_looks_for_it() {
    let mut rust = String::new();
    layout!(rust, kafkalog_bytes_t: data len);
    layout!(rust, kafkalog_header_t: name value);
    layout!(rust, kafkalog_record_t: key value headers header_count timestamp_ms tag partition flags);
    layout!(rust, kafkalog_packed_t: key_off key_len value_off value_len timestamp_ms tag partition flags);
    layout!(rust, kafkalog_delivery_t: tag offset timestamp_ms partition code);
    layout!(rust, kafkalog_view_t: offset timestamp_ms key value key_len value_len partition leader_epoch topic_index
        header_count reserved);
    layout!(rust, kafkalog_append_opts_t: struct_size acks timeout_ms flags);
    layout!(rust, kafkalog_transport_vtable_t: struct_size flags ctx start send set_peer stop release);
    let program = compile("cc", &C99, "ffi-tests/layout.c", Linked::Shared);
    assert_eq!(run(&program, &[]), rust);
}

#[test]
fn the_header_the_library_and_the_manifest_have_one_version() {
    let header = std::fs::read_to_string(root().join("include/kafkalog.h")).expect("the header is committed");
    let number = |name: &str| -> u32 {
        let line = header.lines().find_map(|line| line.strip_prefix(&format!("#define {name} "))).expect(name);
        line.parse().expect("it is a number")
    };
    let [major, minor, patch] = ["MAJOR", "MINOR", "PATCH"].map(|part| number(&format!("KAFKALOG_VERSION_{part}")));
    assert_eq!(format!("{major}.{minor}.{patch}"), env!("CARGO_PKG_VERSION"));
    assert_eq!(kafkalog::ffi::kafkalog_version(), major << 24 | minor << 16 | patch << 8);
    assert_eq!(kafkalog::ffi::kafkalog_abi_version(), number("KAFKALOG_ABI_VERSION"));
}
