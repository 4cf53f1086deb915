//! `kafkalog-flush`: what waits for the disk and nobody waits for (flushes by time, retention, checkpoints, late deletes). A sync may take
//! seconds; neither a batch whose linger is over nor the word that this node is alive may wait for it, which are `kafkalog-node`'s.

use super::core::Fatal;
use super::node_thread::{guarded, no_thread};
use super::timer::Timer;
use crate::disk::BlockedSignals;
use crate::error::{Error, ErrorCode, Result};
use crate::node::Node;
use crate::time::{Clock, Instant};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

#[derive(Default)]
struct State {
    is_running: bool,
    is_to_end: bool,
}

/// The thread, as others see it.
pub(super) struct Flusher {
    pub(super) timer: Arc<Timer>,
    state: Mutex<State>,
    ended: Condvar,
}

impl Flusher {
    pub(super) fn new() -> Flusher {
        Flusher { timer: Arc::new(Timer::new()), state: Mutex::default(), ended: Condvar::new() }
    }

    pub(super) fn start(self: &Arc<Self>, node: Arc<Node>, fatal: Arc<Fatal>) -> Result<()> {
        let flusher = Arc::clone(self);
        self.state.lock().is_running = true;
        let _quiet = BlockedSignals::new(); // the new thread begins with the mask of this one
        let thread = thread::Builder::new().name("kafkalog-flush".into()).spawn(move || {
            flusher.work(&node, &fatal);
            drop((node, fatal));
            flusher.is_over();
        });
        thread.map(|_joined_by_its_running_flag| ()).map_err(|e| {
            self.is_over();
            no_thread("kafkalog-flush", &e)
        })
    }

    fn work(&self, node: &Node, fatal: &Fatal) {
        self.timer.adopt_this_thread();
        let clock = node.clock();
        loop {
            self.timer.begin_round();
            if self.state.lock().is_to_end {
                return;
            }
            let now = clock.monotonic();
            let due = guarded(node, fatal, "the node's upkeep", || node.tick_upkeep(now)).flatten();
            self.timer.sleep(due, &**clock);
        }
    }

    fn is_over(&self) {
        self.state.lock().is_running = false;
        self.ended.notify_all();
    }

    /// Ends the thread once it is back from the disk. TIMED_OUT when it is not by `deadline`; then it ends later.
    pub(super) fn end(&self, clock: &dyn Clock, deadline: Instant) -> Result<()> {
        let mut state = self.state.lock();
        state.is_to_end = true;
        self.timer.wake_now();
        while state.is_running {
            let left = deadline.since(clock.monotonic());
            if left == Duration::ZERO {
                return Err(Error::new(ErrorCode::TIMED_OUT, "a flush is still waiting for the disk"));
            }
            self.ended.wait_for(&mut state, left);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::disk::RealDisk;
    use crate::engine::Engine;
    use crate::sim::CountingDisk;
    use crate::{Acks, ErrorCode, Record, TopicConfig};
    use parking_lot::Mutex;
    use std::sync::{mpsc, Arc};
    use std::time::Duration;

    /// Nothing here takes so long, unless it hangs.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// An engine whose next flush by time waits for the disk: until `go_on` says so, or is dropped.
    struct Held {
        _dir: tempfile::TempDir,
        engine: Engine,
        go_on: mpsc::Sender<()>,
    }

    fn engine_in_a_flush() -> Held {
        let dir = tempfile::tempdir().expect("temp dir");
        let disk = CountingDisk::new(Arc::new(RealDisk));
        let engine = Engine::builder(dir.path()).open_on(Arc::new(disk.clone())).expect("opens");
        let config = TopicConfig::new().set("flush.ms", "50").expect("legal");
        engine.create_topic("t", config).expect("creates");
        let log = engine.log("t", 0).expect("is there");
        let append = || {
            let push = |batch: &mut crate::BatchFill<'_>| batch.push(None, Some(b"v"), &[], None);
            log.append_with(crate::AppendOptions::default(), push).expect("appends")
        };
        append(); // the first one syncs a file on this thread: an epoch begins
        let ((begun, has_begun), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
        let may_go_on = Mutex::new(may_go_on);
        disk.before_syncs(move || {
            let _ = begun.send(());
            let _ = may_go_on.lock().recv(); // at once when there is no sender any more
        });
        append();
        has_begun.recv_timeout(PATIENCE).expect("the flush comes by itself");
        Held { _dir: dir, engine, go_on }
    }

    #[test]
    fn a_flush_that_waits_for_the_disk_holds_up_no_batch_whose_linger_is_over() {
        let Held { engine, go_on, _dir } = engine_in_a_flush();
        let producer =
            engine.producer().acks(Acks::Leader).linger(Duration::from_millis(5)).open().expect("a producer");
        let (told, wait) = mpsc::channel();
        producer.send_with(Record::new("t", "v"), move |sent| told.send(sent).expect("somebody waits")).expect("sends");
        wait.recv_timeout(PATIENCE).expect("carried by the other thread").expect("appended");
        drop(go_on);
        assert!(engine.close().expect("closes").is_clean());
    }

    #[test]
    fn closing_waits_for_a_flush_that_waits_for_the_disk_as_long_as_it_may_and_can_be_repeated() {
        let Held { engine, go_on, _dir } = engine_in_a_flush();
        let error = engine.close_timeout(Duration::from_millis(20)).expect_err("the disk does not answer");
        assert_eq!(error.code(), ErrorCode::TIMED_OUT);
        drop(go_on);
        assert!(engine.close().expect("closes").is_clean());
    }

    #[test]
    fn who_closes_with_more_time_is_not_told_of_the_time_that_another_one_had() {
        let Held { engine, go_on, _dir } = engine_in_a_flush();
        std::thread::scope(|threads| {
            let hasty = threads.spawn(|| engine.close_timeout(Duration::from_millis(200)).expect_err("is held up"));
            while !hasty.is_finished() && !engine.core.closing.is_running() {
                std::thread::yield_now();
            }
            let patient = threads.spawn(|| engine.close_timeout(PATIENCE));
            assert_eq!(hasty.join().expect("no panic").code(), ErrorCode::TIMED_OUT);
            drop(go_on);
            assert!(patient.join().expect("no panic").expect("closes").is_clean());
        });
    }
}
