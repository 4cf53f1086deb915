//! What the C door costs: the packed calls of the header beside the Rust calls that do the same.

use super::{row, Bench};
use crate::stats::pairs;
use kafkalog::ffi::*;
use kafkalog::{Acks, AppendOptions, Record};
use std::ffi::{c_void, CString};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

const RECORDS: usize = 1000;
const VALUE_BYTES: usize = 100;

/// As many records of one flat buffer.
fn packed() -> (Vec<u8>, Vec<kafkalog_packed_t>) {
    let index = (0..RECORDS).map(|n| kafkalog_packed_t {
        key_off: 0,
        key_len: u32::MAX,
        value_off: (n * VALUE_BYTES) as u32,
        value_len: VALUE_BYTES as u32,
        timestamp_ms: -1,
        tag: 0,
        partition: -1,
        flags: 0,
    });
    (vec![b'x'; RECORDS * VALUE_BYTES], index.collect())
}

pub fn c_door(bench: &Bench) {
    send(bench);
    append(bench);
}

fn ok(code: kafkalog_code_t) {
    assert_eq!(code, 0, "a call of the C door failed");
}

/// An engine opened through the C door, with a topic of one partition.
fn open(bench: &Bench, name: &str) -> *mut kafkalog_engine_t {
    let dir = CString::new(bench.dir.join(name).to_str().expect("utf-8")).expect("no zero in it");
    let mut engine = null_mut();
    // SAFETY: pointers to values of this function, and NULL where the header allows it.
    unsafe {
        let conf = kafkalog_conf_new();
        ok(kafkalog_conf_set(conf, c"log.dirs".as_ptr(), dir.as_ptr(), null_mut()));
        ok(kafkalog_engine_open(conf, &mut engine, null_mut()));
        kafkalog_conf_destroy(conf);
        ok(kafkalog_topic_create(engine, c"t".as_ptr(), 1, 1, null(), 5000, null_mut()));
    }
    engine
}

fn send(bench: &Bench) {
    let name = "C door: send_packed beside Rust's send";
    if !bench.wants(name) {
        return;
    }
    let engine = open(bench, name);
    let mut producer = null_mut();
    // SAFETY: as in `open`.
    unsafe {
        let conf = kafkalog_conf_new();
        ok(kafkalog_conf_set(conf, c"acks".as_ptr(), c"1".as_ptr(), null_mut()));
        ok(kafkalog_producer_new(engine, conf, null_mut(), &mut producer, null_mut()));
        kafkalog_conf_destroy(conf);
    }
    let (bytes, index) = packed();
    let (rust_engine, _) = bench.engine(&format!("{name} in Rust"), 1, &[]);
    let rust = rust_engine.producer().acks(Acks::Leader).open().expect("a producer");
    let slices = 50;
    let (ours, by_hand, ratio) = pairs(
        40,
        || {
            let mut accepted = 0;
            let began = Instant::now();
            for _ in 0..slices {
                // SAFETY: the buffers live longer than the call.
                unsafe {
                    let (bytes_at, bytes_len) = (bytes.as_ptr().cast::<c_void>(), bytes.len());
                    let (index, n) = (index.as_ptr(), index.len());
                    ok(kafkalog_producer_send_packed(
                        producer,
                        c"t".as_ptr(),
                        bytes_at,
                        bytes_len,
                        index,
                        n,
                        null_mut(),
                        &mut accepted,
                    ));
                }
            }
            let took = began.elapsed();
            // SAFETY: a handle that is open.
            ok(unsafe { kafkalog_producer_flush(producer, 10_000) });
            took.as_nanos() as f64 / (slices * RECORDS) as f64
        },
        || {
            let began = Instant::now();
            for _ in 0..slices * RECORDS {
                drop(rust.send(Record::new("t", &bytes[..VALUE_BYTES])).expect("sends"));
            }
            let took = began.elapsed();
            rust.flush(Duration::from_secs(10)).expect("flushes");
            took.as_nanos() as f64 / (slices * RECORDS) as f64
        },
    );
    row(name, format!("{ours:.0} ns"), format!("{by_hand:.0} ns (Rust)"), ratio, "<= 1.1");
    // SAFETY: handles that are open, destroyed once.
    unsafe {
        kafkalog_producer_destroy(producer);
        kafkalog_engine_destroy(engine);
    }
}

fn append(bench: &Bench) {
    let name = "C door: log_append_packed beside Rust's append";
    if !bench.wants(name) {
        return;
    }
    let engine = open(bench, name);
    let mut log = null_mut();
    // SAFETY: as in `open`.
    unsafe { ok(kafkalog_log_open(engine, c"t".as_ptr(), 0, &mut log, null_mut())) };
    let (bytes, index) = packed();
    let (rust_engine, _) = bench.engine(&format!("{name} in Rust"), 1, &[]);
    let rust = rust_engine.log("t", 0).expect("a partition");
    let calls = 40;
    let (ours, by_hand, ratio) = pairs(
        40,
        || {
            let began = Instant::now();
            for _ in 0..calls {
                let mut at = 0;
                // SAFETY: the buffers live longer than the call.
                unsafe {
                    let (bytes_at, bytes_len) = (bytes.as_ptr().cast::<c_void>(), bytes.len());
                    ok(kafkalog_log_append_packed(
                        log,
                        bytes_at,
                        bytes_len,
                        index.as_ptr(),
                        index.len(),
                        null(),
                        &mut at,
                    ));
                }
            }
            began.elapsed().as_nanos() as f64 / (calls * RECORDS) as f64
        },
        || {
            let began = Instant::now();
            for _ in 0..calls {
                rust.append_with(AppendOptions::default(), |batch| {
                    (0..RECORDS)
                        .try_for_each(|n| batch.push(None, Some(&bytes[n * VALUE_BYTES..][..VALUE_BYTES]), &[], None))
                })
                .expect("appends");
            }
            began.elapsed().as_nanos() as f64 / (calls * RECORDS) as f64
        },
    );
    row(name, format!("{ours:.1} ns"), format!("{by_hand:.1} ns (Rust)"), ratio, "<= 1.1");
    // SAFETY: handles that are open, destroyed once.
    unsafe {
        kafkalog_log_destroy(log);
        kafkalog_engine_destroy(engine);
    }
}
