//! Everything the disk knows, behind one lock.

use super::super::clock::SimClock;
use super::super::counting::{Call, CallCounts};
use super::content::{self, Content};
use super::faults::{died, FaultKind, Faults};
use super::handles::Mapping;
use super::names::{self, errno, Inode, Names, Place};
use crate::time::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Weak};

/// The room on a disk that nobody has made smaller; it is not even measured.
const PLENTY_BYTES: u64 = 1 << 40;

/// The unit in which room is taken.
const BLOCK_BYTES: u64 = 4096;

#[derive(Debug)]
pub(super) struct State {
    /// The process that is alive.
    pub(super) generation: u64,
    /// Counts the changes of bytes and names, so that a crash can cut through all of them at one moment.
    pub(super) step: u64,
    /// Numbers given to files and directories until now; the root has the first.
    pub(super) inodes: Inode,
    pub(super) names: Names,
    pub(super) files: BTreeMap<Inode, FileNode>,
    pub(super) locks: BTreeSet<Inode>,
    pub(super) capacity_bytes: u64,
    pub(super) faults: Faults,
    pub(super) counts: CallCounts,
    pub(super) rng: fastrand::Rng,
    pub(super) clock: Arc<SimClock>,
}

#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) content: Content,
    pub(super) modified_ms: i64,
    pub(super) reserved_bytes: u64,
    /// Open files and writable maps.
    pub(super) opens: u64,
    pub(super) mappings: Vec<Weak<Mapping>>,
}

impl State {
    pub(super) fn new(seed: u64, clock: Arc<SimClock>) -> State {
        State {
            generation: 0,
            step: 0,
            inodes: names::ROOT,
            names: Names::new(),
            files: BTreeMap::new(),
            locks: BTreeSet::new(),
            capacity_bytes: PLENTY_BYTES,
            faults: Faults::default(),
            counts: CallCounts::default(),
            rng: fastrand::Rng::with_seed(seed),
            clock,
        }
    }

    /// The process dies, and what it held with it.
    pub(super) fn end_process(&mut self) {
        self.generation += 1;
        self.locks.clear();
        self.faults.clear();
        self.files.values_mut().for_each(|file| {
            file.opens = 0;
            file.mappings.clear();
        });
        self.collect();
    }

    pub(super) fn is_alive(&self, generation: u64) -> bool {
        self.generation == generation
    }

    /// Counts the call; fails when the process is dead or a fault is due.
    pub(super) fn begin(&mut self, generation: u64, call: Call) -> io::Result<()> {
        match self.begin_faulty(generation, call)? {
            None => Ok(()),
            Some(kind) => Err(kind.error()),
        }
    }

    /// As [`begin`](State::begin), for a call that does something even when it fails.
    pub(super) fn begin_faulty(&mut self, generation: u64, call: Call) -> io::Result<Option<FaultKind>> {
        if !self.is_alive(generation) {
            return Err(died());
        }
        self.counts.add(call);
        let fault = self.faults.on_call(call);
        if fault == Some(FaultKind::Die) {
            // From here on nobody is alive, until somebody cuts the power or starts the next process.
            self.generation += 1;
        }
        Ok(fault)
    }

    pub(super) fn next_step(&mut self) -> u64 {
        self.step += 1;
        self.step
    }

    pub(super) fn next_inode(&mut self) -> Inode {
        self.inodes += 1;
        self.inodes
    }

    pub(super) fn add_file(&mut self, place: Place) -> Inode {
        let inode = self.next_inode();
        let step = self.next_step();
        let file = FileNode { modified_ms: self.clock.realtime().0, ..FileNode::default() };
        self.files.insert(inode, file);
        self.names.add_file(step, place, inode);
        inode
    }

    pub(super) fn file(&self, inode: Inode) -> &FileNode {
        self.files.get(&inode).expect("a file that is open or has a name is there")
    }

    pub(super) fn file_mut(&mut self, inode: Inode) -> &mut FileNode {
        self.files.get_mut(&inode).expect("a file that is open or has a name is there")
    }

    pub(super) fn close(&mut self, inode: Inode) {
        self.file_mut(inode).opens -= 1;
    }

    pub(super) fn write(&mut self, inode: Inode, at: usize, bytes: &[u8]) -> io::Result<()> {
        let fits = self.growth_that_fits(inode, at + bytes.len()).saturating_sub(at);
        let written = &bytes[..bytes.len().min(fits)];
        let step = self.next_step();
        let now_ms = self.clock.realtime().0;
        let file = self.file_mut(inode);
        if !written.is_empty() {
            let frozen = file.mapped(false);
            assert!(at >= frozen, "byte {at} changes under a mapping for reading of {frozen} bytes");
        }
        file.content.write(step, at, written);
        file.modified_ms = now_ms;
        if written.len() < bytes.len() {
            return Err(errno(libc::ENOSPC));
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, inode: Inode, len: usize) -> io::Result<()> {
        if self.growth_that_fits(inode, len) < len {
            return Err(errno(libc::ENOSPC));
        }
        let step = self.next_step();
        let now_ms = self.clock.realtime().0;
        let file = self.file_mut(inode);
        let mapped = file.mapped(false).max(file.mapped(true));
        assert!(
            len >= mapped,
            "a file is cut to {len} bytes under a mapping of {mapped}: SIGBUS for whoever reads there"
        );
        file.content.set_len(step, len);
        file.modified_ms = now_ms;
        // Cutting a file gives back what was reserved behind its end, too.
        file.reserved_bytes = 0;
        Ok(())
    }

    /// How long a file may become that wants to be `len` bytes long.
    pub(super) fn growth_that_fits(&self, inode: Inode, len: usize) -> usize {
        let allocated = self.file(inode).allocated_bytes();
        if blocks(len as u64) <= allocated || self.capacity_bytes >= PLENTY_BYTES {
            return len;
        }
        let limit = allocated.saturating_add(self.free_bytes()) / BLOCK_BYTES * BLOCK_BYTES;
        len.min(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// Whether so many bytes more fit.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.capacity_bytes >= PLENTY_BYTES || blocks(bytes) <= self.free_bytes()
    }

    fn free_bytes(&self) -> u64 {
        let named: BTreeSet<Inode> = self.names.files().into_values().collect();
        let takes_room = |(inode, file): &(&Inode, &FileNode)| file.opens > 0 || named.contains(inode);
        let used: u64 = self.files.iter().filter(takes_room).map(|(_, file)| file.allocated_bytes()).sum();
        self.capacity_bytes.saturating_sub(used)
    }

    /// Forgets files that nobody can reach any more, whatever happens.
    pub(super) fn collect(&mut self) {
        let used = self.names.in_use();
        self.files.retain(|inode, file| file.opens > 0 || used.contains(inode));
    }

    pub(super) fn cut_power(&mut self, rng: &mut fastrand::Rng) {
        use content::Fate as Bytes;
        use names::Fate as Name;
        // A moment in the past, for devices that keep the order of writes.
        let moment = rng.u64(..=self.step + 1);
        let style = rng.u8(..8);
        let name_fate = match style {
            0 => Name::Lost,
            1 => Name::Kept,
            2 | 3 => Name::Before(moment),
            _ => [Name::Lost, Name::Kept, Name::Before(moment), Name::Some][rng.usize(..4)],
        };
        self.names.crash(name_fate, rng);
        for file in self.files.values_mut() {
            let fate = match style {
                0 => Bytes::Lost,
                1 => Bytes::Kept,
                2 | 3 => Bytes::Before(moment),
                4 => Bytes::Torn,
                _ => [Bytes::Lost, Bytes::Kept, Bytes::Before(moment), Bytes::Torn][rng.usize(..4)],
            };
            file.content.crash(fate, rng);
            file.reserved_bytes = 0;
        }
    }
}

impl FileNode {
    pub(super) fn allocated_bytes(&self) -> u64 {
        blocks(self.content.live().len() as u64).max(blocks(self.reserved_bytes))
    }

    /// Bytes at the beginning that somebody has mapped, for writing or for reading.
    pub(super) fn mapped(&mut self, is_writable: bool) -> usize {
        self.mappings.retain(|mapping| mapping.strong_count() > 0);
        let alive = self.mappings.iter().filter_map(Weak::upgrade);
        alive.filter(|mapping| mapping.is_writable == is_writable).map(|mapping| mapping.len).max().unwrap_or(0)
    }
}

fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}
