use super::fake::{at, part, CLIENT};
use crate::node::cluster::clients::purgatory::{Asker, Operation, Purgatory};
use crate::node::cluster::clients::WAITING_MAX;
use crate::types::{NodeId, TopicPartition};
use crate::wire::{CorrelationId, MetadataResponse, Response};
use parking_lot::Mutex;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

/// Is satisfied when its flag is up; what happens while it is looked at is the test's.
struct Flag {
    is_up: Arc<AtomicBool>,
    while_looking: Box<dyn Fn() + Send>,
}

fn word(metadata_offset: u64) -> Response {
    let cluster = crate::transport::ClusterId::default();
    Response::Metadata(MetadataResponse { cluster, controller: None, metadata_offset, nodes: vec![], topics: vec![] })
}

const SATISFIED: u64 = 1;
const EXPIRED: u64 = 2;

impl Operation for Flag {
    fn partitions(&self) -> Vec<TopicPartition> {
        vec![part(0)]
    }

    fn look(&mut self) -> Option<Response> {
        let is_up = self.is_up.load(Ordering::SeqCst);
        (self.while_looking)();
        is_up.then(|| word(SATISFIED))
    }

    fn expire(&mut self) -> Response {
        word(EXPIRED)
    }
}

fn asker(number: u64) -> Asker {
    Asker { from: CLIENT, correlation: CorrelationId(NonZeroU64::new(number).unwrap()) }
}

/// Who was answered what.
type Said = Arc<Mutex<Vec<(u64, u64)>>>;

fn answer(said: &Said) -> impl Fn(Asker, Response) + '_ {
    move |asker, response| {
        let Response::Metadata(word) = response else { panic!() };
        said.lock().push((asker.correlation.0.get(), word.metadata_offset));
    }
}

fn flag(is_up: &Arc<AtomicBool>, while_looking: impl Fn() + Send + 'static) -> Box<dyn Operation> {
    Box::new(Flag { is_up: Arc::clone(is_up), while_looking: Box::new(while_looking) })
}

#[test]
fn what_happens_while_a_ticket_is_looked_at_is_not_missed() {
    let (purgatory, said, is_up) = (Arc::new(Purgatory::default()), Said::default(), Arc::<AtomicBool>::default());
    let (inner, heard, up) = (Arc::clone(&purgatory), Arc::clone(&said), Arc::clone(&is_up));
    // The change comes right after the look at it, on the same thread, and finds the ticket at work.
    let change = move || {
        if !up.swap(true, Ordering::SeqCst) {
            inner.handle_changed(&part(0), &answer(&heard));
        }
    };
    assert!(!purgatory.add(asker(1), at(10), flag(&is_up, change), &answer(&said)));
    assert_eq!((said.lock().clone(), purgatory.count()), (vec![(1, SATISFIED)], 0));
}

#[test]
fn a_time_that_is_over_while_a_ticket_is_looked_at_ends_it_and_one_that_is_forgotten_then_is_not_answered() {
    for (is_forgotten, expected) in [(false, vec![(1, EXPIRED)]), (true, vec![])] {
        let (purgatory, said, is_up) = (Arc::new(Purgatory::default()), Said::default(), Arc::<AtomicBool>::default());
        let (inner, heard) = (Arc::clone(&purgatory), Arc::clone(&said));
        let tick = move || {
            if is_forgotten {
                inner.forget(|asker| asker.from == CLIENT);
            }
            inner.tick(at(10), &answer(&heard));
        };
        purgatory.add(asker(1), at(10), flag(&is_up, tick), &answer(&said));
        assert_eq!((said.lock().clone(), purgatory.count()), (expected, 0));
    }
}

#[test]
fn deadlines_end_what_is_due_and_only_that() {
    let (purgatory, said, is_up) = (Purgatory::default(), Said::default(), Arc::<AtomicBool>::default());
    for (number, ms) in [(1, 30), (2, 10), (3, 20)] {
        assert!(purgatory.add(asker(number), at(ms), flag(&is_up, || {}), &answer(&said)));
    }
    assert_eq!(purgatory.tick(at(9), &answer(&said)), Some(at(10)));
    assert_eq!(purgatory.tick(at(20), &answer(&said)), Some(at(30)));
    assert_eq!(*said.lock(), [(2, EXPIRED), (3, EXPIRED)]);
    purgatory.forget(|asker| asker.from == NodeId(77));
    is_up.store(true, Ordering::SeqCst);
    purgatory.handle_changed(&part(1), &answer(&said));
    assert_eq!(purgatory.count(), 1, "another partition");
    purgatory.handle_changed(&part(0), &answer(&said));
    assert_eq!((said.lock().last().copied(), purgatory.count()), (Some((1, SATISFIED)), 0));
    assert_eq!(purgatory.tick(at(99), &answer(&said)), None);
}

#[test]
fn so_many_may_wait_and_one_more_is_answered_as_if_its_time_were_over() {
    let (purgatory, said, is_up) = (Purgatory::default(), Said::default(), Arc::<AtomicBool>::default());
    for number in 1..=WAITING_MAX as u64 {
        assert!(purgatory.add(asker(number), at(10), flag(&is_up, || {}), &answer(&said)));
    }
    assert!(!purgatory.add(asker(99_999), at(10), flag(&is_up, || {}), &answer(&said)));
    assert_eq!(*said.lock(), [(99_999, EXPIRED)]);
    assert_eq!(purgatory.tick(at(10), &answer(&said)), None);
    assert_eq!((said.lock().len(), purgatory.count()), (WAITING_MAX + 1, 0));
}

#[test]
fn many_threads_complete_each_ticket_exactly_once() {
    const TICKETS: u64 = 2_000;
    let purgatory = Purgatory::default();
    let (answered, begin) = (AtomicU32::new(0), Barrier::new(4));
    let counts: Vec<AtomicU32> = (0..=TICKETS).map(|_| AtomicU32::new(0)).collect();
    let count = |asker: Asker, _: Response| {
        counts[asker.correlation.0.get() as usize].fetch_add(1, Ordering::SeqCst);
        answered.fetch_add(1, Ordering::SeqCst);
    };
    let flags: Vec<Arc<AtomicBool>> = (0..=TICKETS).map(|_| Arc::default()).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            begin.wait();
            for number in 1..=TICKETS {
                // Half of them by their time, half of them by the flag.
                let deadline = if number % 2 == 0 { at(10) } else { at(1_000_000) };
                purgatory.add(asker(number), deadline, flag(&flags[number as usize], || {}), &count);
            }
        });
        scope.spawn(|| {
            begin.wait();
            for number in (1..=TICKETS).step_by(2) {
                flags[number as usize].store(true, Ordering::SeqCst);
                purgatory.handle_changed(&part(0), &count);
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                begin.wait();
                while u64::from(answered.load(Ordering::SeqCst)) < TICKETS {
                    purgatory.tick(at(10), &count);
                    std::thread::yield_now();
                }
            });
        }
    });
    assert!(counts[1..].iter().all(|count| count.load(Ordering::SeqCst) == 1));
    assert_eq!(purgatory.count(), 0);
}
