//! A line during its handshakes, TLS's own (if it has one) and ours: so much time, so many bytes.

use super::line::Line;
use super::tls::TLS_HANDSHAKE_BYTES_MAX;
use crate::time::{Clock, Instant};
use std::io::{self, IoSlice, Read, Write};
use std::time::Duration;

pub(super) struct Bounded<'a> {
    raw: Raw<'a>,
}

/// What is on the socket itself.
struct Raw<'a> {
    line: &'a Line,
    clock: &'a dyn Clock,
    until: Instant,
    bytes_left: usize,
    asked: Option<Instant>,
    round_trip: Option<Duration>,
}

impl<'a> Bounded<'a> {
    /// `bytes` without those of TLS, which has its own limit.
    pub fn new(line: &'a Line, clock: &'a dyn Clock, time: Duration, bytes: usize) -> Bounded<'a> {
        let until = clock.monotonic() + time;
        let bytes_left = bytes + if line.tls.is_some() { TLS_HANDSHAKE_BYTES_MAX } else { 0 };
        Bounded { raw: Raw { line, clock, until, bytes_left, asked: None, round_trip: None } }
    }

    /// Makes the line ready for our own handshake: nothing to do without TLS.
    pub fn begin(&mut self) -> io::Result<()> {
        self.raw.line.tls.as_ref().map_or(Ok(()), |tls| tls.shake_hands(&mut self.raw))
    }

    /// From the first writing to the first byte of an answer; `None` before one.
    pub fn round_trip(&self) -> Option<Duration> {
        self.raw.round_trip
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &self.raw.line.tls {
            None => self.raw.read(into),
            Some(tls) => tls.read(into, |sealed| self.raw.read(sealed)),
        }
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.raw.line.tls else { return self.raw.write(bytes) };
        let written = tls.write(&[IoSlice::new(bytes)], |sealed| self.raw.write(sealed));
        written.map_err(|error| match error.kind() {
            // An acceptor judges our certificate when we believe that all is said; if it has hung up meanwhile, it has said why.
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                tls.last_words(|sealed| self.raw.read(sealed)).unwrap_or(error)
            }
            _ => error,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Raw<'_> {
    fn time_left(&self) -> io::Result<Duration> {
        let left = self.until.since(self.clock.monotonic());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // The kernel counts in microseconds, and zero would be for ever.
        Ok(left.max(Duration::from_millis(1)))
    }
}

impl Read for Raw<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let time_left = self.time_left()?;
        let count = into.len().min(self.bytes_left);
        if count == 0 && !into.is_empty() {
            return Err(io::Error::other("too many bytes"));
        }
        let count = self.line.read_raw(&mut into[..count], time_left)?;
        self.bytes_left -= count;
        let waited = self.asked.map(|asked| self.clock.monotonic().since(asked));
        self.round_trip = self.round_trip.or(waited);
        Ok(count)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let time_left = self.time_left()?;
        self.asked.get_or_insert(self.clock.monotonic());
        self.line.write_raw(bytes, time_left)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
