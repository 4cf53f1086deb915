//! One session: plain bytes on this side, sealed ones on the socket's. Sockets themselves are the caller's business.

use super::keys::server_name;
use super::words::of_session;
use parking_lot::Mutex;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls::Connection as Session;
use std::io::{self, IoSlice, Read, Write};

/// As many plain bytes as are sealed at once, and so what waits in sealed form for a slow peer.
pub(super) const SEALED_BYTES_MAX: usize = 64 * 1024;
/// As many sealed bytes as one `read()` may bring.
const INCOMING_BYTES: usize = 64 * 1024;

/// The session's lock is the last one taken, and held while bytes are sealed or opened only. `incoming` is the reader's, `outgoing`
/// belongs to whoever writes; both are held while the socket is waited for.
pub(in crate::transport) struct Tls {
    session: Mutex<Session>,
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
    checks_names: bool,
}

impl Tls {
    pub(super) fn new(mut session: Session, checks_names: bool) -> Tls {
        session.set_buffer_limit(Some(SEALED_BYTES_MAX));
        let incoming = Incoming { bytes: vec![0; INCOMING_BYTES].into_boxed_slice(), start: 0, end: 0, fault: None };
        Tls { session: Mutex::new(session), incoming: Mutex::new(incoming), outgoing: Mutex::default(), checks_names }
    }

    /// TLS's own handshake, to be made before anything else. The other side is told why it fails.
    pub fn shake_hands(&self, raw: &mut (impl Read + Write)) -> io::Result<()> {
        loop {
            self.flush(|sealed| raw.write(sealed))?;
            if !self.session.lock().is_handshaking() {
                return Ok(());
            }
            let mut incoming = self.incoming.lock();
            if incoming.is_empty() && incoming.fill(|into| raw.read(into))? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let fed = incoming.feed(&mut self.session.lock());
            if let Err(fault) = fed {
                // The alert; whether it is heard or not, nobody is let in.
                let _ = self.flush(|sealed| raw.write(sealed));
                return Err(fault);
            }
        }
    }

    /// Whether the other side's certificate names this host, or whether nobody asks.
    pub fn names(&self, host: Option<&str>) -> bool {
        if !self.checks_names {
            return true;
        }
        let Some(name) = host.and_then(server_name) else { return false };
        let session = self.session.lock();
        let shown = session.peer_certificates().and_then(|chain| ParsedCertificate::try_from(chain.first()?).ok());
        shown.is_some_and(|certificate| verify_server_name(&certificate, &name).is_ok())
    }

    /// Plain bytes; `more` waits for sealed ones. Zero when the other side has ended.
    pub fn read(&self, into: &mut [u8], mut more: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        let mut incoming = self.incoming.lock();
        loop {
            if let Some(count) = incoming.open(&mut self.session.lock(), into)? {
                return Ok(count);
            }
            if incoming.fill(&mut more)? == 0 {
                return Ok(0);
            }
        }
    }

    /// Seals the first of these bytes and has them sent; answers how many plain ones have gone. When `send` cannot go on (`WouldBlock`),
    /// what is sealed is kept, and counts as not written: the next call has to begin with the same bytes, and sends it.
    pub fn write(&self, pieces: &[IoSlice<'_>], send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.stands_for == 0 {
            let mut session = self.session.lock();
            outgoing.stands_for = session.writer().write_vectored(pieces)?;
            outgoing.take_from(&mut session)?;
        }
        debug_assert!(outgoing.stands_for <= pieces.iter().map(|piece| piece.len()).sum());
        outgoing.send(send)?;
        Ok(std::mem::take(&mut outgoing.stands_for))
    }

    /// Why the other side hung up, if it has said so.
    pub fn last_words(&self, mut more: impl FnMut(&mut [u8]) -> io::Result<usize>) -> Option<io::Error> {
        let mut ignored = [0; 512];
        loop {
            match self.read(&mut ignored, &mut more) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(error).filter(|error| error.kind() == io::ErrorKind::InvalidData),
            }
        }
    }

    /// Sends what the session itself has to say.
    fn flush(&self, send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        outgoing.take_from(&mut self.session.lock())?;
        outgoing.send(send)
    }
}

#[cfg(test)]
impl Tls {
    /// Renews the keys of this direction, as happens by itself after some millions of records.
    pub(super) fn refresh(&self) {
        self.session.lock().refresh_traffic_keys().expect("the handshake is over");
    }
}

/// Sealed bytes that have arrived and were not opened yet: `bytes[start..end]`.
struct Incoming {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// What is wrong behind the bytes that were opened.
    fault: Option<io::Error>,
}

impl Incoming {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Only when everything was opened.
    fn fill(&mut self, mut more: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        debug_assert!(self.is_empty());
        (self.start, self.end) = (0, 0);
        self.end = loop {
            match more(&mut self.bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        Ok(self.end)
    }

    /// Plain bytes, zero of them at the end; `None` when sealed ones are missing. What came in order before a fault comes out before it.
    fn open(&mut self, session: &mut Session, into: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match session.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Some(0)),
                outcome => return outcome.map(Some),
            }
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            if self.is_empty() {
                return Ok(None);
            }
            self.fault = self.feed(session).err();
        }
    }

    /// Gives the session some of the bytes.
    fn feed(&mut self, session: &mut Session) -> io::Result<()> {
        let count = session.read_tls(&mut &self.bytes[self.start..self.end])?;
        // Nothing is taken any more after the other side's farewell.
        self.start = if count == 0 { self.end } else { self.start + count };
        session.process_new_packets().map_err(of_session).map(drop)
    }
}

/// Sealed bytes that the socket has not taken yet: `sealed[sent..]`.
#[derive(Default)]
struct Outgoing {
    sealed: Vec<u8>,
    sent: usize,
    /// Plain bytes that were sealed and are not reported as written.
    stands_for: usize,
}

impl Outgoing {
    fn take_from(&mut self, session: &mut Session) -> io::Result<()> {
        while session.wants_write() {
            session.write_tls(&mut self.sealed)?;
        }
        Ok(())
    }

    fn send(&mut self, mut send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while self.sent < self.sealed.len() {
            match send(&self.sealed[self.sent..])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.sent += count,
            }
        }
        self.sealed.clear();
        self.sent = 0;
        Ok(())
    }
}
