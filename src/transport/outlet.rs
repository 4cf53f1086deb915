//! What leaves through one connection, in order, without anybody waiting for a slow peer.
//!
//! Whoever holds the *pen* writes. A caller who finds it free writes its frame itself, as far as the socket takes it at once, and what
//! others have put down meanwhile; when the socket is full, or too many come, the pen goes to the writer thread, which may wait.
//!
//! ```text
//!   Free -- send --> Caller -- all written --> Free
//!                      | the socket takes no more
//!                      v
//!                    Writer -- all written --> Free
//! ```

use super::errors;
use super::frame::{Frame, FRAME_HEADER_BYTES};
use super::line::Line;
use crate::error::Result;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// Pieces in one system call.
const PIECES_PER_WRITE: usize = 64;
/// System calls that one caller makes at most, so that it does not become the writer of all others.
const CALLER_WRITES_MAX: u32 = 16;

pub(super) struct Outlet {
    frames_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
    /// The pen has gone to the writer, or the outlet is closed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Outgoing>,
    /// Of all that was taken and is not written, in whose hands soever.
    frames: usize,
    bytes: usize,
    pen: Pen,
    is_closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Pen {
    #[default]
    Free,
    Caller,
    Writer,
}

/// Frames not written yet, and their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Backlog {
    pub frames: usize,
    pub bytes: usize,
}

impl Outlet {
    pub fn new(frames_max: usize, bytes_max: usize) -> Outlet {
        Outlet { frames_max, bytes_max, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes a checked frame. Never waits for the peer.
    ///
    /// # Errors
    /// QUEUE_FULL: not taken. `Ok(Err(_))`: the line broke.
    pub fn send(&self, line: &Line, frame: Frame) -> Result<io::Result<()>> {
        let outgoing = Outgoing::new(frame);
        {
            let mut state = self.state.lock();
            if state.is_closed {
                return Ok(Err(io::ErrorKind::NotConnected.into()));
            }
            let is_full = state.frames >= self.frames_max || state.bytes + outgoing.bytes_left > self.bytes_max;
            if is_full && state.frames > 0 {
                return Err(errors::queue_full(state.frames, state.bytes));
            }
            state.frames += 1;
            state.bytes += outgoing.bytes_left;
            if state.pen != Pen::Free {
                state.waiting.push_back(outgoing);
                return Ok(Ok(()));
            }
            state.pen = Pen::Caller;
        }
        Ok(self.write_at_once(line, outgoing))
    }

    fn write_at_once(&self, line: &Line, mut outgoing: Outgoing) -> io::Result<()> {
        for _ in 0..CALLER_WRITES_MAX {
            let (bytes_before, outcome) = (outgoing.bytes_left, retry(|| outgoing.write_by(|p| line.try_write(p))));
            let mut state = self.state.lock();
            state.bytes -= bytes_before - outgoing.bytes_left;
            match outcome {
                Ok(()) if outgoing.bytes_left > 0 => continue,
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            state.frames -= 1;
            let Some(next) = state.waiting.pop_front() else {
                state.pen = Pen::Free;
                return Ok(());
            };
            // Its memory goes when the lock is released.
            let _written = std::mem::replace(&mut outgoing, next);
            drop(state);
        }
        let mut state = self.state.lock();
        state.waiting.push_front(outgoing);
        state.pen = Pen::Writer;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// The writer thread's work, until the outlet is closed or the line breaks.
    pub fn run_writer(&self, line: &Line) -> io::Result<()> {
        let mut batch = VecDeque::new();
        loop {
            {
                let mut state = self.state.lock();
                while state.pen != Pen::Writer && !state.is_closed {
                    self.changed.wait(&mut state);
                }
                if state.is_closed {
                    return Ok(());
                }
                std::mem::swap(&mut batch, &mut state.waiting);
                if batch.is_empty() {
                    state.pen = Pen::Free;
                }
            }
            while !batch.is_empty() {
                let written = retry(|| write_some(&batch, line))?;
                let frames = advance(&mut batch, written);
                let mut state = self.state.lock();
                state.frames -= frames;
                state.bytes -= written;
                if state.is_closed {
                    return Ok(());
                }
            }
        }
    }

    /// Nothing more is taken, what waits is forgotten.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
        self.changed.notify_all();
    }

    pub fn backlog(&self) -> Backlog {
        let state = self.state.lock();
        Backlog { frames: state.frames, bytes: state.bytes }
    }
}

/// A frame on its way out, and how far it is.
struct Outgoing {
    header: [u8; FRAME_HEADER_BYTES],
    frame: Frame,
    /// Of header and parts together.
    bytes_left: usize,
}

impl Outgoing {
    fn new(frame: Frame) -> Outgoing {
        let bytes_left = FRAME_HEADER_BYTES + frame.bytes();
        Outgoing { header: frame.header().encode(), frame, bytes_left }
    }

    /// What is not written yet, piece by piece.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut done = FRAME_HEADER_BYTES + self.frame.bytes() - self.bytes_left;
        let parts = self.frame.parts().iter().map(Bytes::as_ref);
        std::iter::once(&self.header[..]).chain(parts).filter_map(move |piece| {
            let skipped = done.min(piece.len());
            done -= skipped;
            Some(&piece[skipped..]).filter(|rest| !rest.is_empty())
        })
    }

    fn write_by(&mut self, write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); PIECES_PER_WRITE];
        let count = gather(self.pieces(), &mut slices);
        self.bytes_left -= write(&slices[..count])?;
        Ok(())
    }
}

fn write_some(batch: &VecDeque<Outgoing>, line: &Line) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); PIECES_PER_WRITE];
    let count = gather(batch.iter().flat_map(Outgoing::pieces), &mut slices);
    line.write(&slices[..count])
}

fn gather<'a>(pieces: impl Iterator<Item = &'a [u8]>, into: &mut [IoSlice<'a>]) -> usize {
    pieces.zip(into).map(|(piece, slice)| *slice = IoSlice::new(piece)).count()
}

/// Drops what is written; answers how many frames are.
fn advance(batch: &mut VecDeque<Outgoing>, mut written: usize) -> usize {
    let mut frames = 0;
    while let Some(first) = batch.front_mut().filter(|_| written > 0) {
        let count = written.min(first.bytes_left);
        first.bytes_left -= count;
        written -= count;
        if first.bytes_left == 0 {
            batch.pop_front();
            frames += 1;
        }
    }
    frames
}

fn retry<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
