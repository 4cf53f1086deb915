//! What the library owes the process that it lives in: quiet threads, no surprises in a forked child.

use std::fs::File;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::OnceLock;

/// Signals that tell of this thread's own fault, or that a profiler sends: they stay as the host has set them.
const LEFT_OPEN: [libc::c_int; 8] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGPROF,
];

/// While held, the thread that made it takes no asynchronous signals; threads that it starts begin that way.
#[derive(Debug)]
pub struct BlockedSignals {
    before: Box<MaskOf>,
    // A mask belongs to one thread, so this must not travel to another.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl BlockedSignals {
    #[must_use = "dropping it opens the thread to signals again"]
    pub fn new() -> BlockedSignals {
        BlockedSignals { before: Box::new(MaskOf(swap_mask())), _not_send: std::marker::PhantomData }
    }
}

impl Default for BlockedSignals {
    fn default() -> Self {
        BlockedSignals::new()
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: the mask came from the kernel, for this very thread.
        let outcome = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before.0, ptr::null_mut()) };
        debug_assert_eq!(outcome, 0, "SIG_SETMASK with a valid mask cannot fail");
    }
}

struct MaskOf(libc::sigset_t);

impl std::fmt::Debug for MaskOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskOf")
    }
}

/// Adds the asynchronous signals to the thread's mask; answers the mask before.
fn swap_mask() -> libc::sigset_t {
    let mut blocked = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initializes the set before the other calls read it; signal numbers are the system's own. The calls
    // can only fail for a bad number or a bad `how`.
    unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for signal in LEFT_OPEN {
            libc::sigdelset(blocked.as_mut_ptr(), signal);
        }
        let outcome = libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), before.as_mut_ptr());
        debug_assert_eq!(outcome, 0, "SIG_BLOCK with a valid set cannot fail");
        before.assume_init()
    }
}

/// The signals that ask a process to end, for a program that wants to end in order. The library itself never takes them.
///
/// They are blocked in the thread that made it and in all that are started by it later, and stay so: a program has one, from its
/// beginning to its end.
#[derive(Debug)]
pub struct EndSignals {
    // The thread that made it is the one that waits.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl EndSignals {
    #[must_use = "the signals are blocked, so somebody has to wait for them"]
    pub fn new() -> EndSignals {
        let set = EndSignals::set();
        // SAFETY: the set is initialized; the call can only fail for a bad `how`.
        let outcome = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) };
        debug_assert_eq!(outcome, 0, "SIG_BLOCK with a valid set cannot fail");
        EndSignals { _not_send: std::marker::PhantomData }
    }

    /// Waits for SIGTERM or SIGINT; false when none came in time, or another signal came between.
    #[must_use]
    pub fn wait(&self, timeout: std::time::Duration) -> bool {
        let set = EndSignals::set();
        let limit = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos() as libc::c_long,
        };
        // SAFETY: set and limit are initialized, and nothing is asked about the signal but its number.
        unsafe { libc::sigtimedwait(&set, ptr::null_mut(), &limit) > 0 }
    }

    fn set() -> libc::sigset_t {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigemptyset` initializes the set before the others read it; the numbers are the system's own.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
            set.assume_init()
        }
    }
}

impl Default for EndSignals {
    fn default() -> EndSignals {
        EndSignals::new()
    }
}

/// How many descriptors this process may have open now; `None` for no limit.
pub fn open_files_limit() -> io::Result<Option<u64>> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is ours to fill.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok((limit.rlim_cur != libc::RLIM_INFINITY).then(|| super::os::wide(limit.rlim_cur)))
}

/// Forks that lie between the first caller of [`fork_generation`] and this process.
static FORKS: AtomicU32 = AtomicU32::new(0);
/// Descriptors that hold a lock, so that a forked child can let go of them; -1 is a free place. A lock that finds no
/// place works all the same, but a child that neither ends nor execs keeps it alive after its owner has died.
static LOCKS: [AtomicI32; 64] = [const { AtomicI32::new(-1) }; 64];

/// A number that is another one in a forked child than in its parent. The price is one atomic load.
///
/// An object that remembers it from its birth can tell a child that the threads and locks it inherited are not its own.
/// The first call registers a handler with `pthread_atfork`; `None` when the system has no memory for that.
#[must_use]
pub fn fork_generation() -> Option<u32> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    // SAFETY: the handler is a plain function of ours which does only what a forked child may: atomics and close().
    let installed = INSTALLED.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(let_go_in_child)) == 0 });
    installed.then(|| FORKS.load(Ordering::Relaxed))
}

extern "C" fn let_go_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    for place in &LOCKS {
        let held = place.swap(-1, Ordering::Relaxed);
        if held != -1 {
            // The child's copy of the descriptor would keep the lock after the parent's death. Closing it here frees nothing
            // for the parent: the lock belongs to the open file, which the parent still has.
            // SAFETY: the descriptor belongs to a `ForkAwareLock`, which will not touch it again: its generation is over.
            unsafe { libc::close(held) };
        }
    }
}

/// An exclusive lock on an open file, let go of when dropped, when the process dies, and in a forked child at once.
#[derive(Debug)]
pub(super) struct ForkAwareLock {
    file: ManuallyDrop<File>,
    born: Option<u32>,
    place: Option<&'static AtomicI32>,
}

impl ForkAwareLock {
    /// `WouldBlock` when another open of the file holds the lock, in this process or in another one.
    pub(super) fn take(file: File) -> io::Result<ForkAwareLock> {
        let born = fork_generation();
        super::os::lock_exclusively(&file)?;
        let fd = file.as_raw_fd();
        let free = |place: &&AtomicI32| place.compare_exchange(-1, fd, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let place = born.and_then(|_| LOCKS.iter().find(free));
        Ok(ForkAwareLock { file: ManuallyDrop::new(file), born, place })
    }
}

impl Drop for ForkAwareLock {
    fn drop(&mut self) {
        if fork_generation() != self.born {
            // In a child. Unlocking would take the lock from the parent, and the descriptor is closed already.
            return;
        }
        // Unlock before closing, so that a child that another thread forks just now, and that inherits the descriptor, does
        // not keep the lock. If this fails, closing does the same for everybody but such a child.
        let _ = super::os::unlock(&self.file);
        if let Some(place) = self.place {
            place.store(-1, Ordering::Relaxed);
        }
        // SAFETY: dropped here and never used again.
        unsafe { ManuallyDrop::drop(&mut self.file) };
    }
}
