//! Which name leads to which file: as everybody sees it, as a power cut leaves it, and the changes in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

/// The number of a file or directory; a name leads to it.
pub(super) type Inode = u64;
pub(super) const ROOT: Inode = 0;

/// A name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) dir: Inode,
    pub(super) name: String,
}

type Tree = BTreeMap<Inode, BTreeMap<String, Inode>>;

/// A change of names that no sync of its directory has covered yet. Each happens whole or not at all.
#[derive(Debug)]
struct Pending {
    step: u64,
    inode: Inode,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Link(Place),
    Unlink(Place),
    Rename { from: Place, to: Place },
}

impl Pending {
    /// The directory whose sync makes it durable. A rename between two directories belongs to the one that gets the name.
    fn dir(&self) -> Inode {
        match &self.change {
            Change::Link(place) | Change::Unlink(place) | Change::Rename { to: place, .. } => place.dir,
        }
    }

    fn apply(&self, tree: &mut Tree) {
        match &self.change {
            Change::Link(place) => link(tree, place, self.inode),
            Change::Unlink(place) => unlink(tree, place, self.inode),
            Change::Rename { from, to } => {
                unlink(tree, from, self.inode);
                link(tree, to, self.inode);
            }
        }
    }
}

fn link(tree: &mut Tree, place: &Place, inode: Inode) {
    tree.entry(place.dir).or_default().insert(place.name.clone(), inode);
}

/// Leaves the name alone when it leads elsewhere by now.
fn unlink(tree: &mut Tree, place: &Place, inode: Inode) {
    let names = tree.entry(place.dir).or_default();
    if names.get(&place.name) == Some(&inode) {
        names.remove(&place.name);
    }
}

/// Which pending changes of names survive when nobody has synced them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Lost,
    Kept,
    /// Those made before this step: a journal.
    Before(u64),
    /// A random choice, but never a later change of a file without the earlier ones.
    Some,
}

#[derive(Debug)]
pub(super) struct Names {
    /// Has an entry for every directory.
    live: Tree,
    durable: Tree,
    pending: Vec<Pending>,
}

impl Names {
    pub(super) fn new() -> Names {
        let root = Tree::from([(ROOT, BTreeMap::new())]);
        Names { live: root.clone(), durable: root, pending: Vec::new() }
    }

    /// Where a path leads to.
    pub(super) fn find(&self, path: &Path) -> io::Result<Inode> {
        let mut inode = ROOT;
        for name in components(path)? {
            let names = self.live.get(&inode).ok_or_else(|| errno(libc::ENOTDIR))?;
            inode = *names.get(name).ok_or_else(|| errno(libc::ENOENT))?;
        }
        Ok(inode)
    }

    /// The directory of a path's last name, which must exist; the name itself need not.
    pub(super) fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = components(path)?;
        let name = names.pop().ok_or_else(|| errno(libc::EBUSY))?;
        let parent: std::path::PathBuf = names.iter().collect();
        let dir = self.find(&parent)?;
        self.entries(dir)?;
        Ok(Place { dir, name: name.to_owned() })
    }

    pub(super) fn at(&self, place: &Place) -> Option<Inode> {
        self.live.get(&place.dir).and_then(|names| names.get(&place.name)).copied()
    }

    pub(super) fn is_dir(&self, inode: Inode) -> bool {
        self.live.contains_key(&inode)
    }

    pub(super) fn entries(&self, dir: Inode) -> io::Result<&BTreeMap<String, Inode>> {
        self.live.get(&dir).ok_or_else(|| errno(libc::ENOTDIR))
    }

    pub(super) fn add_file(&mut self, step: u64, place: Place, inode: Inode) {
        self.change(step, inode, Change::Link(place));
    }

    pub(super) fn add_dir(&mut self, step: u64, place: Place, inode: Inode) {
        // The directory itself exists on the platters as an empty one; what may be lost is the way to it.
        self.live.insert(inode, BTreeMap::new());
        self.durable.insert(inode, BTreeMap::new());
        self.change(step, inode, Change::Link(place));
    }

    pub(super) fn remove(&mut self, step: u64, place: Place, inode: Inode) {
        self.change(step, inode, Change::Unlink(place));
        self.live.remove(&inode);
    }

    pub(super) fn rename(&mut self, step: u64, inode: Inode, from: Place, to: Place) {
        let replaced = self.at(&to);
        self.change(step, inode, Change::Rename { from, to });
        if let Some(replaced) = replaced {
            self.live.remove(&replaced);
        }
    }

    fn change(&mut self, step: u64, inode: Inode, change: Change) {
        let pending = Pending { step, inode, change };
        pending.apply(&mut self.live);
        self.pending.push(pending);
    }

    /// The names of this directory survive from now on. Answers whether one of them went, and so perhaps the last way to a file.
    pub(super) fn sync(&mut self, dir: Inode) -> bool {
        let takes = |pending: &Pending| pending.dir() == dir && !matches!(pending.change, Change::Link(_));
        let some_go = self.pending.iter().any(takes);
        self.settle(|pending| (pending.dir() == dir).then_some(true));
        some_go
    }

    /// Each change in the directory is on the platters or lost for good, as chance has it.
    pub(super) fn fail_sync(&mut self, dir: Inode, rng: &mut fastrand::Rng) {
        self.settle(|pending| (pending.dir() == dir).then(|| rng.bool()));
    }

    /// Asks each pending change, the oldest first: does it survive, is it lost, or (`None`) does it stay pending?
    fn settle(&mut self, mut survives: impl FnMut(&Pending) -> Option<bool>) {
        let mut waiting: Vec<Pending> = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            match survives(&pending) {
                None => waiting.push(pending),
                Some(false) => {}
                Some(true) => {
                    // A file has one name here, so the latest change that survives says it all: an earlier one of the same file,
                    // in a directory that was not synced, must not bring the old name back later.
                    waiting.retain(|earlier| earlier.inode != pending.inode);
                    pending.apply(&mut self.durable);
                }
            }
        }
        self.pending = waiting;
    }

    pub(super) fn crash(&mut self, fate: Fate, rng: &mut fastrand::Rng) {
        let mut lost: BTreeSet<Inode> = BTreeSet::new();
        self.settle(|pending| {
            Some(match fate {
                Fate::Lost => false,
                Fate::Kept => true,
                Fate::Before(step) => pending.step < step,
                Fate::Some => !lost.contains(&pending.inode) && (rng.bool() || !lost.insert(pending.inode)),
            })
        });
        let reached = reachable(&self.durable);
        self.durable.retain(|dir, _| reached.contains(dir));
        self.live = self.durable.clone();
    }

    /// Every file and directory that a name leads to, now or after a crash.
    pub(super) fn in_use(&self) -> BTreeSet<Inode> {
        let mut used = reachable(&self.live);
        used.extend(self.durable.values().flat_map(BTreeMap::values));
        used.extend(self.pending.iter().map(|pending| pending.inode));
        used
    }

    /// Every file with its path, in order.
    pub(super) fn files(&self) -> BTreeMap<String, Inode> {
        let mut files = BTreeMap::new();
        let mut rooms = vec![(String::new(), ROOT)];
        while let Some((path, dir)) = rooms.pop() {
            for (name, inode) in &self.live[&dir] {
                let path = format!("{path}/{name}");
                if self.is_dir(*inode) {
                    rooms.push((path, *inode));
                } else {
                    files.insert(path, *inode);
                }
            }
        }
        files
    }
}

fn reachable(tree: &Tree) -> BTreeSet<Inode> {
    let mut reached = BTreeSet::from([ROOT]);
    let mut rooms = vec![ROOT];
    while let Some(dir) = rooms.pop() {
        for inode in tree.get(&dir).into_iter().flat_map(BTreeMap::values) {
            if reached.insert(*inode) {
                rooms.push(*inode);
            }
        }
    }
    reached
}

fn components(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().ok_or_else(|| errno(libc::EILSEQ))?),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(errno(libc::EINVAL)),
        }
    }
    Ok(names)
}

pub(super) fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}
