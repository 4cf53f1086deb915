//! The promise that a send allocates nothing for a record, counted by the allocator of this one test binary.

use kafkalog::{Engine, Record, TopicConfig};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(Relaxed);
    work();
    ALLOCATIONS.load(Relaxed) - before
}

// One test, so that no other thread of the harness allocates meanwhile.
#[test]
fn a_send_allocates_nothing_for_its_record() {
    const RECORDS: u64 = 50_000;
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path()).unwrap();
    engine.create_topic("t", TopicConfig::new().partitions(4)).unwrap();
    let value = [b'x'; 100];
    for (acks, key) in [("1", None), ("all", None), ("1", Some("key")), ("0", None)] {
        let producer = engine.producer().set("acks", acks).unwrap().open().unwrap();
        let record = Record { key: key.map(str::as_bytes), ..Record::new("t", &value) };
        let send_all = || (0..RECORDS).for_each(|_| drop(producer.send(record).unwrap()));
        send_all();
        let counted = allocations(send_all);
        producer.flush(Duration::from_secs(60)).unwrap();
        println!("acks={acks} key={key:?}: {counted} allocations for {RECORDS} records");
        // Batches hold about 150 records of this size.
        assert!(counted < RECORDS / 50, "acks={acks}: {counted} allocations for {RECORDS} records");
    }
    // A lone sender that waits for each record has a batch for each; even those are used again.
    let producer = engine.producer().set("acks", "1").unwrap().linger(Duration::ZERO).open().unwrap();
    let send_and_wait =
        || (0..5_000).for_each(|_| drop(producer.send(Record::new("t", &value)).unwrap().wait().unwrap()));
    send_and_wait();
    let counted = allocations(send_and_wait);
    println!("linger.ms=0, waiting for each: {counted} allocations for 5000 records");
    assert!(counted < 5_000 / 50, "{counted} allocations for 5000 records");
}
