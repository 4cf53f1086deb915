//! Calls that are going to fail.

use super::super::counting::Call;
use super::names::errno;
use std::io;

/// Which calls a fault counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultyCalls {
    /// All of them; copies into maps cannot fail and are not counted.
    Any,
    /// Those that change something: see [`Call::is_change`].
    Changes,
    /// One sort of them.
    Only(Call),
}

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// The device failed. Nothing was done; a sync that fails loses what it should have saved (see [`SimDisk`](super::SimDisk)).
    Eio,
    /// No room left on the device. Nothing was done.
    Enospc,
    /// No descriptor left in the process.
    Emfile,
    /// The file system has become read-only.
    Erofs,
    /// A write stops after a beginning and then finds the device full. Other calls fail as with [`Enospc`](FaultKind::Enospc).
    ShortThenError,
    /// The process dies in the call: a write may have got a beginning onto the page cache, any other call has done nothing, and
    /// everything that the process holds is dead. Go on with [`crash`](super::SimDisk::crash) or
    /// [`restart`](super::SimDisk::restart).
    Die,
}

impl FaultKind {
    pub(super) fn error(self) -> io::Error {
        match self {
            FaultKind::Eio => errno(libc::EIO),
            FaultKind::Enospc | FaultKind::ShortThenError => errno(libc::ENOSPC),
            FaultKind::Emfile => errno(libc::EMFILE),
            FaultKind::Erofs => errno(libc::EROFS),
            FaultKind::Die => died(),
        }
    }
}

/// What every call of a dead process gets.
pub(super) fn died() -> io::Error {
    io::Error::other("the process that held this died in the simulation")
}

/// Whether a fault passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    Once,
    Forever,
}

/// What nobody fetches is not kept for ever.
const TOLD_MAX: usize = 64;

#[derive(Debug)]
struct Fault {
    calls: FaultyCalls,
    /// Matching calls that still succeed.
    left: u64,
    kind: FaultKind,
    repeat: Repeat,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    armed: Vec<Fault>,
    fired: u64,
    told: Vec<(Call, FaultKind)>,
    /// Calls are neither counted nor fail.
    pub(super) is_suspended: bool,
}

impl Faults {
    pub(super) fn arm(&mut self, calls: FaultyCalls, nth: u64, kind: FaultKind, repeat: Repeat) {
        assert!(nth > 0, "the first call is number one");
        self.armed.push(Fault { calls, left: nth - 1, kind, repeat });
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
    }

    /// The calls that have failed since this was asked last.
    pub(super) fn take_told(&mut self) -> Vec<(Call, FaultKind)> {
        std::mem::take(&mut self.told)
    }

    pub(super) fn fired(&self) -> u64 {
        self.fired
    }

    /// Counts a call in every fault that is waiting for it; the first that is due decides.
    pub(super) fn on_call(&mut self, call: Call) -> Option<FaultKind> {
        if self.is_suspended {
            return None;
        }
        let mut due = None;
        self.armed.retain_mut(|fault| {
            let counts = match fault.calls {
                FaultyCalls::Any => call != Call::MapWrite,
                FaultyCalls::Changes => call != Call::MapWrite && call.is_change(),
                FaultyCalls::Only(only) => call == only,
            };
            if !counts {
                return true;
            }
            if fault.left > 0 {
                fault.left -= 1;
                return true;
            }
            due = due.or(Some(fault.kind));
            fault.repeat == Repeat::Forever
        });
        self.fired += u64::from(due.is_some());
        if let Some(kind) = due.filter(|_| self.told.len() < TOLD_MAX) {
            self.told.push((call, kind));
        }
        due
    }
}
