//! Waiting for something that another process, or another thread, does.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// A descriptor that is readable while it has been signalled and not drained: what a poll loop can wait on.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// Not signalled, not blocking, closed on exec. Fails when the process has no descriptor left.
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: two numbers in, a new descriptor out.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        Ok(EventFd { fd: owned(fd)? })
    }

    /// Makes it readable. Any number of signals before a [`drain`](EventFd::drain) count as one. Never blocks.
    pub fn signal(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes of our own. The only failure of an open eventfd is a full counter, and then it is readable
        // already, which is all that was asked.
        unsafe { libc::write(self.fd.as_raw_fd(), ptr::from_ref(&one).cast(), 8) };
    }

    /// Makes it unreadable; whether it had been signalled. Never blocks.
    pub fn drain(&self) -> bool {
        let mut count = 0_u64;
        // SAFETY: eight bytes of our own. The only failure of an open eventfd is that there was nothing to drain.
        unsafe { libc::read(self.fd.as_raw_fd(), ptr::from_mut(&mut count).cast(), 8) == 8 }
    }

    /// Waits until it is signalled, at most for `timeout` (`None`: for ever). `false` when not; that may be early when a signal
    /// handler of the host's ran. Drains nothing.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        poll(&mut [readable(self.as_raw_fd())], timeout)
    }
}

impl AsRawFd for EventFd {
    /// Valid as long as `self`. Only for polling.
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Tells that files in some directories were changed, by this or by another process.
///
/// One thread waits; any thread may watch more directories or wake the waiter. Writes through a mapping are not seen.
#[derive(Debug)]
pub struct Watcher {
    inner: Arc<Inner>,
    wake: Arc<EventFd>,
}

#[derive(Debug)]
struct Inner {
    inotify: OwnedFd,
    /// The kernel has one watch for a directory however often it is asked: how many of ours share it.
    holders: Mutex<BTreeMap<libc::c_int, usize>>,
}

/// A directory that is being watched, until dropped.
#[derive(Debug)]
pub struct Watch {
    inner: Arc<Inner>,
    descriptor: libc::c_int,
}

const CHANGES: u32 = libc::IN_MODIFY
    | libc::IN_CREATE
    | libc::IN_DELETE
    | libc::IN_MOVED_FROM
    | libc::IN_MOVED_TO
    | libc::IN_DELETE_SELF
    | libc::IN_MOVE_SELF
    | libc::IN_ONLYDIR;

impl Watcher {
    /// Watches nothing yet. Fails when the process or the user has no inotify descriptor left (`EMFILE`); then a reader must poll.
    pub fn new() -> io::Result<Watcher> {
        // SAFETY: flags in, a new descriptor out.
        let inotify = owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        let inner = Inner { inotify, holders: Mutex::new(BTreeMap::new()) };
        Ok(Watcher { inner: Arc::new(inner), wake: Arc::new(EventFd::new()?) })
    }

    /// Watches the entries of a directory and their contents, not those of directories in it. Changes before the call are not
    /// told: look at the files after it. Fails with `ENOSPC` when the user has no watch left.
    pub fn watch(&self, dir: &Path) -> io::Result<Watch> {
        let dir = CString::new(dir.as_os_str().as_bytes())?;
        // Held over the call, so that a `Watch` of the same directory that is dropped just now does not take this one along.
        let mut holders = self.inner.holders.lock();
        // SAFETY: the path ends in a zero, the descriptor is open.
        let descriptor = unsafe { libc::inotify_add_watch(self.inner.inotify.as_raw_fd(), dir.as_ptr(), CHANGES) };
        if descriptor == -1 {
            return Err(io::Error::last_os_error());
        }
        *holders.entry(descriptor).or_insert(0) += 1;
        drop(holders);
        Ok(Watch { inner: self.inner.clone(), descriptor })
    }

    /// Waits for a change or a wake-up, at most for `timeout` (`None`: for ever), and forgets it. `false` when there was
    /// none; that may be early when a signal handler of the host's ran.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let mut fds = [readable(self.inner.inotify.as_raw_fd()), readable(self.wake.as_raw_fd())];
        if !poll(&mut fds, timeout)? {
            return Ok(false);
        }
        self.wake.drain();
        self.drain_events()?;
        Ok(true)
    }

    /// What ends a [`wait`](Watcher::wait) from another thread; a signal without a waiter ends the next one.
    #[must_use]
    pub fn waker(&self) -> Arc<EventFd> {
        self.wake.clone()
    }

    /// What happened does not matter, nor does an overflow of the queue: the reader looks at the files anyway.
    fn drain_events(&self) -> io::Result<()> {
        let mut events = [0_u64; 512];
        loop {
            let room = std::mem::size_of_val(&events);
            // SAFETY: the buffer is ours and as long as we say.
            let read = unsafe { libc::read(self.inner.inotify.as_raw_fd(), events.as_mut_ptr().cast(), room) };
            if read <= 0 {
                let error = io::Error::last_os_error();
                match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                }
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut holders = self.inner.holders.lock();
        let left = holders.get_mut(&self.descriptor).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            holders.remove(&self.descriptor);
            // It fails when the directory is gone, because then the kernel has removed the watch itself. Descriptors of
            // watches are not used twice, so nobody else's is hit.
            // SAFETY: two numbers.
            unsafe { libc::inotify_rm_watch(self.inner.inotify.as_raw_fd(), self.descriptor) };
        }
    }
}

fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call that made it just returned it, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn readable(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<bool> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos() as libc::c_long,
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the array is ours and as long as we say; the time is null or ours.
    let ready = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout, ptr::null()) };
    if ready == -1 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) };
    }
    Ok(ready > 0)
}
