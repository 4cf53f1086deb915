//! The threads beside `kafkalog-node`, which each do one of its works so that it need not wait for another one.
//!
//! - `kafkalog-flush`: what waits for the disk and nobody waits for (flushes by time, retention, checkpoints, late deletes). A sync may take
//!   seconds, and no batch whose linger is over may wait for it.
//! - `kafkalog-heart`, in a cluster: says to the controller that this node lives. Whatever `kafkalog-node` writes down for the metadata or
//!   for a follower may wait for the disk, too, and nobody shall take this node for dead because of that.

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

/// All of one engine.
#[derive(Clone)]
pub(super) struct Helpers {
    pub(super) flush: Arc<Helper>,
    heart: Arc<Helper>,
}

impl Helpers {
    pub(super) fn new() -> Helpers {
        let helper = |name, what, work| Arc::new(Helper::new(name, what, work));
        Helpers {
            flush: helper("kafkalog-flush", "a flush", |node, now| node.tick_upkeep(now)),
            heart: helper("kafkalog-heart", "a heartbeat", |node, now| node.beat(now)),
        }
    }

    pub(super) fn start(&self, node: &Arc<Node>, fatal: &Arc<Fatal>) -> Result<()> {
        self.flush.start(Arc::clone(node), Arc::clone(fatal))?;
        if node.config().cluster.is_member() {
            self.heart.start(Arc::clone(node), Arc::clone(fatal))?;
        }
        Ok(())
    }

    /// Ends the threads once they are back from the disk. TIMED_OUT when one is not by `deadline`; then it ends later.
    pub(super) fn end(&self, clock: &dyn Clock, deadline: Instant) -> Result<()> {
        self.flush.end(clock, deadline)?;
        self.heart.end(clock, deadline)
    }

    pub(super) fn is_this_thread(&self) -> bool {
        [&self.flush, &self.heart].iter().any(|helper| helper.timer.is_this_thread())
    }

    pub(super) fn wakeups(&self) -> u64 {
        [&self.flush, &self.heart].iter().map(|helper| helper.timer.wakeups()).sum()
    }

    /// When the first one gets up next; `None` when nothing is pending.
    pub(super) fn next(&self) -> Option<Instant> {
        let running = [&self.flush, &self.heart].into_iter().filter(|helper| helper.state.lock().is_running);
        running.filter_map(|helper| helper.timer.next()).min()
    }
}

#[derive(Default)]
struct State {
    is_running: bool,
    is_to_end: bool,
}

/// One thread, as others see it.
pub(super) struct Helper {
    name: &'static str,
    /// One piece of its work.
    what: &'static str,
    /// Does what is due, and says when to come again.
    work: fn(&Node, Instant) -> Option<Instant>,
    pub(super) timer: Arc<Timer>,
    state: Mutex<State>,
    ended: Condvar,
}

impl Helper {
    fn new(name: &'static str, what: &'static str, work: fn(&Node, Instant) -> Option<Instant>) -> Helper {
        Helper { name, what, work, timer: Arc::new(Timer::new()), state: Mutex::default(), ended: Condvar::new() }
    }

    fn start(self: &Arc<Self>, node: Arc<Node>, fatal: Arc<Fatal>) -> Result<()> {
        let helper = Arc::clone(self);
        self.state.lock().is_running = true;
        let _quiet = BlockedSignals::new(); // the new thread begins with the mask of this one
        let thread = thread::Builder::new().name(self.name.into()).spawn(move || {
            helper.run(&node, &fatal);
            drop((node, fatal));
            helper.is_over();
        });
        thread.map(|_joined_by_its_running_flag| ()).map_err(|e| {
            self.is_over();
            no_thread(self.name, &e)
        })
    }

    fn run(&self, node: &Node, fatal: &Fatal) {
        self.timer.adopt_this_thread();
        let clock = node.clock();
        loop {
            self.timer.begin_round();
            if self.state.lock().is_to_end {
                return;
            }
            let now = clock.monotonic();
            let due = guarded(node, fatal, self.what, || (self.work)(node, now)).flatten();
            self.timer.sleep(due, &**clock);
        }
    }

    fn is_over(&self) {
        self.state.lock().is_running = false;
        self.ended.notify_all();
    }

    fn end(&self, clock: &dyn Clock, deadline: Instant) -> Result<()> {
        let mut state = self.state.lock();
        state.is_to_end = true;
        self.timer.wake_now();
        while state.is_running {
            let left = deadline.since(clock.monotonic());
            if left == Duration::ZERO {
                return Err(Error::new(ErrorCode::TIMED_OUT, format!("{} has not come back yet", self.what)));
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
    #[cfg(feature = "quorum")]
    use crate::NodeId;
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

    /// What another node hears of this one: that it is there.
    #[cfg(feature = "quorum")]
    struct Ear(Mutex<mpsc::Sender<()>>);

    #[cfg(feature = "quorum")]
    impl crate::transport::Receive for Ear {
        fn deliver(&self, _: NodeId, frame: bytes::Bytes) {
            use crate::wire::{decode, Message, Request};
            if let Ok(Message::Request { request: Request::Controller(request), .. }) = decode(frame) {
                if request.is_sign_of_life() {
                    let _ = self.0.lock().send(()); // nobody counts them any more
                }
            }
        }

        fn peer_state(&self, _: NodeId, _: bool) {}
    }

    /// Lets nobody go on who has something to say.
    #[cfg(feature = "quorum")]
    struct Holding(Mutex<mpsc::Sender<()>>, Mutex<mpsc::Receiver<()>>);

    #[cfg(feature = "quorum")]
    impl crate::LogSink for Holding {
        fn log(&self, _: crate::LogLevel, _: &str, _: &str) {
            let _ = self.0.lock().send(());
            let _ = self.1.lock().recv(); // at once when there is no sender any more
        }
    }

    #[cfg(feature = "quorum")]
    #[test]
    fn whatever_holds_up_the_node_thread_the_other_nodes_hear_that_it_lives() {
        use crate::transport::{Inbox, Transport as _};
        let hub = crate::ChannelHub::new();
        let (heard, hears) = mpsc::channel();
        let other = hub.transport("n2").expect("is free");
        other.start(NodeId(2), Inbox::new(Arc::new(Ear(Mutex::new(heard))))).expect("starts");
        other.set_peer(NodeId(1), Some("inproc://n1")).expect("is legal");
        let ((held, is_held), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
        let dir = tempfile::tempdir().expect("temp dir");
        let settings = [
            ("node.id", "1"),
            ("listeners", "inproc://n1"),
            ("controller.quorum.voters", "1@inproc://n1,2@inproc://n2"),
            ("cluster.id", "AAAAAAAAAAAAAAAAAAAAAQ"),
        ];
        let builder = Engine::builder(dir.path())
            .transport(Arc::new(hub.transport("n1").expect("is free")))
            .log_sink(Arc::new(Holding(Mutex::new(held), Mutex::new(may_go_on))));
        let builder = settings.iter().fold(builder, |builder, (name, value)| builder.set(name, value).expect("legal"));
        let engine = builder.open().expect("opens");
        engine.core.node.notice(crate::LogLevel::Info, "test", || "hold".to_owned());
        is_held.recv_timeout(PATIENCE).expect("the node thread has something to say");
        while hears.try_recv().is_ok() {} // what was on its way
        for _ in 0..3 {
            hears.recv_timeout(PATIENCE).expect("it says that it lives");
        }
        drop(go_on);
        assert!(engine.close().expect("closes").is_clean());
    }
}
