//! One socket as the rooms above see it: read by one thread, written by one at a time, cut by anybody.

use crate::time::{Clock, Instant};
use socket2::{SockAddr, Socket};
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

pub(super) struct Line {
    socket: Socket,
}

impl Line {
    pub fn new(socket: Socket) -> Line {
        Line { socket }
    }

    /// Connects; [`cut`](Line::cut) ends the wait.
    pub fn connect(&self, to: &SockAddr, timeout: Duration) -> io::Result<()> {
        self.socket.connect_timeout(to, timeout)?;
        self.tune()
    }

    /// Sets the options of a connected socket.
    pub fn tune(&self) -> io::Result<()> {
        super::address::tune(&self.socket)
    }

    /// Whoever reads or writes comes back, now and for ever.
    pub fn cut(&self) {
        // The only way to fail is that the other side was faster.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Writes what the socket takes at once; `WouldBlock` when that is nothing.
    pub fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.send_vectored_with_flags(pieces, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
    }

    /// Writes, and waits for the peer to make room.
    pub fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.send_vectored_with_flags(pieces, libc::MSG_NOSIGNAL)
    }

    /// From now on reading and writing wait as long as it takes.
    pub fn wait_without_limit(&self) -> io::Result<()> {
        self.socket.set_read_timeout(None)?;
        self.socket.set_write_timeout(None)
    }
}

impl Read for &Line {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(into)
    }
}

/// A line during its handshake: so much time, so many bytes.
pub(super) struct Bounded<'a> {
    line: &'a Line,
    clock: &'a dyn Clock,
    until: Instant,
    bytes_left: usize,
    asked: Option<Instant>,
    /// From the first writing to the first byte of an answer.
    pub round_trip: Option<Duration>,
}

impl<'a> Bounded<'a> {
    pub fn new(line: &'a Line, clock: &'a dyn Clock, time: Duration, bytes: usize) -> Bounded<'a> {
        let until = clock.monotonic() + time;
        Bounded { line, clock, until, bytes_left: bytes, asked: None, round_trip: None }
    }

    fn time_left(&self) -> io::Result<Duration> {
        let left = self.until.since(self.clock.monotonic());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // The kernel counts in microseconds, and zero would be for ever.
        Ok(left.max(Duration::from_millis(1)))
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.line.socket.set_read_timeout(Some(self.time_left()?))?;
        let count = into.len().min(self.bytes_left);
        if count == 0 && !into.is_empty() {
            return Err(io::Error::other("too many bytes"));
        }
        let count = { self.line }.read(&mut into[..count])?;
        self.bytes_left -= count;
        let waited = self.asked.map(|asked| self.clock.monotonic().since(asked));
        self.round_trip = self.round_trip.or(waited);
        Ok(count)
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.socket.set_write_timeout(Some(self.time_left()?))?;
        self.asked.get_or_insert(self.clock.monotonic());
        self.line.write(&[IoSlice::new(bytes)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
