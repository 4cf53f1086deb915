//! One socket as the rooms above see it: read by one thread, written by one at a time, cut by anybody.

use super::address::Address;
use super::tls::Tls;
use socket2::{SockAddr, Socket};
use std::io::{self, IoSlice, Read};
use std::net::Shutdown;
use std::time::Duration;

pub(super) struct Line {
    socket: Socket,
    /// What is between the socket and everybody else, on `tls://`.
    pub tls: Option<Tls>,
}

impl Line {
    pub fn new(socket: Socket, tls: Option<Tls>) -> Line {
        Line { socket, tls }
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

    /// Writes what the socket takes at once; `WouldBlock` when that is nothing. What was not written comes first the next time.
    pub fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(pieces, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
    }

    /// Writes, and waits for the peer to make room. What was not written comes first the next time.
    pub fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(pieces, libc::MSG_NOSIGNAL)
    }

    fn write_with(&self, pieces: &[IoSlice<'_>], flags: i32) -> io::Result<usize> {
        match &self.tls {
            None => self.socket.send_vectored_with_flags(pieces, flags),
            Some(tls) => tls.write(pieces, |sealed| self.socket.send_with_flags(sealed, flags)),
        }
    }

    /// What is on the socket itself, for at most so long.
    pub fn read_raw(&self, into: &mut [u8], timeout: Duration) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(timeout))?;
        (&self.socket).read(into)
    }

    /// Writes to the socket itself, and waits so long for room.
    pub fn write_raw(&self, bytes: &[u8], timeout: Duration) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(timeout))?;
        self.socket.send_with_flags(bytes, libc::MSG_NOSIGNAL)
    }

    /// Whether the other side may be the node that is known under this address: with TLS, its certificate has to name the host.
    pub fn may_be_at(&self, address: &Address) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.names(address.host()))
    }

    /// From now on reading and writing wait as long as it takes.
    pub fn wait_without_limit(&self) -> io::Result<()> {
        self.socket.set_read_timeout(None)?;
        self.socket.set_write_timeout(None)
    }
}

impl Read for &Line {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => (&self.socket).read(into),
            Some(tls) => tls.read(into, |sealed| (&self.socket).read(sealed)),
        }
    }
}
