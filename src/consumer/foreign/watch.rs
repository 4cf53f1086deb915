//! The one thread that waits for changes in the directories that are read, and tells the readers.

use crate::disk::{BlockedSignals, EventFd, Watch, Watcher};
use crate::node::Notify;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often readers look for themselves where the kernel does not tell (no inotify descriptor or watch left).
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Tells readers of changes in their directories. The thread runs from the first subscription on and ends with the last holder.
pub(in crate::consumer) struct WatchThread {
    shared: Arc<Shared>,
    /// `None` until somebody subscribes.
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// `None` where the kernel has no descriptor left for it.
    watcher: Option<Watcher>,
    /// Ends the wait of the thread, watcher or not.
    wake: Option<Arc<EventFd>>,
    readers: Mutex<Readers>,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Readers {
    next_key: u64,
    by_key: BTreeMap<u64, Reader>,
}

struct Reader {
    listener: Arc<dyn Notify>,
    /// The partition's directory, and the one around it, where it may yet appear.
    dirs: [PathBuf; 2],
    watches: [Option<Watch>; 2],
}

/// Ends the notifications when dropped.
pub(in crate::consumer) struct Subscription {
    shared: Weak<Shared>,
    key: u64,
    /// Keeps the thread.
    _thread: Arc<WatchThread>,
}

impl WatchThread {
    pub fn new() -> Arc<WatchThread> {
        let watcher = Watcher::new().ok();
        let wake = match &watcher {
            Some(watcher) => Some(watcher.waker()),
            None => EventFd::new().ok().map(Arc::new),
        };
        WatchThread::with(watcher, wake)
    }

    fn with(watcher: Option<Watcher>, wake: Option<Arc<EventFd>>) -> Arc<WatchThread> {
        let shared = Shared { watcher, wake, readers: Mutex::default(), is_over: AtomicBool::new(false) };
        Arc::new(WatchThread { shared: Arc::new(shared), thread: Mutex::new(None) })
    }

    /// Tells `listener` whenever something in `dir` may have changed.
    pub fn subscribe(self: &Arc<Self>, dir: &Path, listener: Arc<dyn Notify>) -> Subscription {
        let around = dir.parent().unwrap_or(dir).to_owned();
        let mut reader = Reader { listener, dirs: [dir.to_owned(), around], watches: [None, None] };
        reader.watch(self.shared.watcher.as_ref());
        let key = {
            let mut readers = self.shared.readers.lock();
            readers.next_key += 1;
            let key = readers.next_key;
            readers.by_key.insert(key, reader);
            key
        };
        self.start();
        // A reader without watches changes how long the thread may wait.
        self.shared.wake();
        Subscription { shared: Arc::downgrade(&self.shared), key, _thread: Arc::clone(self) }
    }

    fn start(&self) {
        let mut thread = self.thread.lock();
        if thread.is_some() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let _signals = BlockedSignals::new();
        // Without a thread readers still see everything at each poll; they only do not wake early.
        *thread = std::thread::Builder::new().name("kafkalog-watch".into()).spawn(move || shared.run()).ok();
    }
}

impl Shared {
    fn run(&self) {
        while !self.is_over.load(Ordering::SeqCst) {
            let must_look = self.readers.lock().by_key.values().any(|reader| !reader.is_told());
            let timeout = must_look.then_some(LOOK_INTERVAL);
            let outcome = match (&self.watcher, &self.wake) {
                (Some(watcher), _) => watcher.wait(timeout),
                (None, Some(wake)) => wake.wait(timeout).map(|_| wake.drain()),
                (None, None) => {
                    std::thread::park_timeout(LOOK_INTERVAL);
                    Ok(true)
                }
            };
            if outcome.is_err() {
                // A descriptor that cannot be waited on: look at intervals, which is what the readers are promised.
                std::thread::park_timeout(LOOK_INTERVAL);
            }
            self.tell();
        }
    }

    fn tell(&self) {
        let listeners: Vec<Arc<dyn Notify>> = {
            let mut readers = self.readers.lock();
            readers.by_key.values_mut().map(|reader| reader.refresh(self.watcher.as_ref())).collect()
        };
        for listener in listeners {
            listener.notify();
        }
    }

    fn wake(&self) {
        if let Some(wake) = &self.wake {
            wake.signal();
        }
    }
}

impl Reader {
    /// Whether the kernel tells of changes: in the directory, or of its appearing.
    fn is_told(&self) -> bool {
        self.watches[0].is_some() || (self.watches[1].is_some() && !self.dirs[0].exists())
    }

    fn watch(&mut self, watcher: Option<&Watcher>) {
        let Some(watcher) = watcher else { return };
        for (dir, watch) in self.dirs.iter().zip(&mut self.watches) {
            if watch.is_none() {
                // Absent, or no watch left: then the thread looks at intervals.
                *watch = watcher.watch(dir).ok();
            }
        }
        // Once the directory is watched, the one around it would only tell of the neighbours.
        if self.watches[0].is_some() {
            self.watches[1] = None;
        }
    }

    fn refresh(&mut self, watcher: Option<&Watcher>) -> Arc<dyn Notify> {
        if self.watches[0].is_none() {
            self.watch(watcher);
        }
        Arc::clone(&self.listener)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            let gone = shared.readers.lock().by_key.remove(&self.key);
            drop(gone); // a listener may be dropped by this, without our lock
        }
    }
}

impl Drop for WatchThread {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.shared.wake();
        if let Some(thread) = self.thread.lock().take() {
            // The last holder may be let go of by a listener, on the thread itself.
            if thread.thread().id() != std::thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

impl fmt::Debug for WatchThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchThread").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{channel, Sender};
    use std::time::Instant;

    /// A test that waits this long has failed.
    const PATIENCE: Duration = Duration::from_secs(60);

    struct Told(Mutex<Sender<()>>);

    impl Notify for Told {
        fn notify(&self) {
            // The test may be over.
            let _ = self.0.lock().send(());
        }
    }

    #[test]
    fn without_inotify_readers_look_again_and_again_and_the_thread_still_ends() {
        let dir = tempfile::tempdir().unwrap();
        for wake in [EventFd::new().ok().map(Arc::new), None] {
            let thread = WatchThread::with(None, wake);
            let (sender, told) = channel();
            let subscription = thread.subscribe(&dir.path().join("t-0"), Arc::new(Told(Mutex::new(sender))));
            for _ in 0..5 {
                told.recv_timeout(PATIENCE).expect("is told though nothing can tell it");
            }
            drop(subscription);
            while told.recv_timeout(PATIENCE).is_ok() {}
            let ending = Instant::now();
            drop(thread);
            assert!(ending.elapsed() < PATIENCE);
        }
    }

    #[test]
    fn a_reader_whose_directory_cannot_be_watched_is_told_at_intervals_beside_others() {
        let dir = tempfile::tempdir().unwrap();
        let thread = WatchThread::new();
        let (quiet, _kept) = channel();
        let _watched = thread.subscribe(dir.path(), Arc::new(Told(Mutex::new(quiet))));
        let (sender, told) = channel();
        let nowhere = Path::new("/proc/self/nothing/that/exists");
        let _unwatched = thread.subscribe(nowhere, Arc::new(Told(Mutex::new(sender))));
        for _ in 0..5 {
            told.recv_timeout(PATIENCE).expect("is told");
        }
    }
}
