//! Letting others in: one thread a listener, one more for each connection, which handshakes and then reads.

use super::address::Address;
use super::bounded::Bounded;
use super::handshake::{self, End, Hello, Refusal, HANDSHAKE_BYTES_MAX};
use super::line::Line;
use super::socket::Shared;
use super::table::Listener;
use socket2::Socket;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// The pause after a failed accept, for instance for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener thread's work.
pub(super) fn accept_all(shared: &Arc<Shared>, listener: &Listener) {
    while !shared.is_stopping() {
        match listener.socket.accept() {
            Ok((socket, _)) => let_in(shared, listener, socket),
            Err(_) if shared.is_stopping() => return,
            Err(error) => {
                shared.notices.push(format!("accepting on {}: {error}", listener.address));
                shared.pause(ACCEPT_PAUSE);
            }
        }
    }
}

fn let_in(shared: &Arc<Shared>, listener: &Listener, socket: Socket) {
    let tls = match &listener.address {
        Address::Tls(_) => shared.tls_keys().and_then(|keys| keys.listening()).map(Some),
        Address::Tcp(_) | Address::Unix(_) => Ok(None),
    };
    let line = match tls {
        Ok(tls) => Arc::new(Line::new(socket, tls)),
        Err(error) => return shared.notices.push(format!("accepting on {}: {error}", listener.address)),
    };
    let Some(half_open) = HalfOpen::new(shared, &line) else { return };
    let own = Arc::clone(shared);
    // Dropping what the thread would have owned closes the socket.
    if let Err(error) = shared.threads.spawn("conn", move || greet(&own, half_open)) {
        shared.notices.push(format!("no thread for an accepted connection: {error}"));
    }
}

fn greet(shared: &Arc<Shared>, half_open: HalfOpen) {
    let line = Arc::clone(&half_open.line);
    let Some(running) = shared.table.lock().running.clone() else { return };
    let mut stream = Bounded::new(&line, &shared.clock, shared.settings.handshake_timeout, HANDSHAKE_BYTES_MAX);
    let (greeted, chosen) = (Cell::new(None), Cell::new(false));
    let number_for = |hello: &Hello| {
        let (number, address) = {
            let mut table = shared.table.lock();
            let number = table.number_for(hello, &shared.settings)?;
            (number, table.peer(number).and_then(|peer| peer.address.clone()))
        };
        // A guest has no address yet; it is looked at when it gets one.
        if address.is_some_and(|address| !line.may_be_at(&address)) {
            return Err(Refusal::OtherName);
        }
        Ok(number)
    };
    let admit = |peer, hello: &Hello, i_choose: bool| {
        let mut table = shared.table.lock();
        table.begin_greeting(peer);
        greeted.set(Some(peer));
        if !i_choose {
            return Ok(None);
        }
        let generation = table.choose(peer, hello.insists).ok_or(Refusal::NotNeeded)?;
        chosen.set(true);
        Ok(Some(generation))
    };
    let talked = line.tune().and_then(|()| stream.begin()).map_err(End::from);
    let outcome = talked.and_then(|()| handshake::accept(&mut stream, &running.me, number_for, admit));
    let round_trip = stream.round_trip();
    let key = half_open.through();
    let adopted = {
        let mut table = shared.table.lock();
        let adopted = outcome.map(|agreed| table.adopt(agreed, &line, round_trip, &shared.settings, true));
        if let Some(peer) = greeted.get() {
            table.end_handshake(peer, true, chosen.get());
        }
        adopted
    };
    shared.changed.notify_all();
    match adopted {
        Ok(Some(adopted)) => shared.serve(&running.inbox, adopted),
        // There is a later one, or the other side has found out that there is one.
        Ok(None) | Err(End::Refused(Refusal::NotNeeded) | End::RefusedByPeer(Refusal::NotNeeded)) => {}
        Err(_) if shared.is_stopping() => {}
        Err(end) => shared.notices.push(format!("an incoming connection: {end}")),
    }
    line.cut();
    shared.table.lock().remove_line(key);
}

/// An accepted connection that nobody has answered for yet. There are only so many at a time.
struct HalfOpen {
    shared: Arc<Shared>,
    line: Arc<Line>,
    key: u64,
    is_through: bool,
}

impl HalfOpen {
    fn new(shared: &Arc<Shared>, line: &Arc<Line>) -> Option<HalfOpen> {
        let mut table = shared.table.lock();
        if table.handshakes >= shared.settings.handshakes_max {
            drop(table);
            shared.notices.push("too many connections are in their handshake: further ones are closed".to_owned());
            return None;
        }
        let key = table.add_line(line)?;
        table.handshakes += 1;
        Some(HalfOpen { shared: Arc::clone(shared), line: Arc::clone(line), key, is_through: false })
    }

    /// The handshake is over, one way or the other; the line is still in the table under this key.
    fn through(mut self) -> u64 {
        self.is_through = true;
        self.key
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        let mut table = self.shared.table.lock();
        table.handshakes -= 1;
        if !self.is_through {
            table.remove_line(self.key);
        }
    }
}
