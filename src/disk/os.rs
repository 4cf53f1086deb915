//! System calls that the standard library has no word for, each behind a safe function.

use super::PIECES_MAX;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Takes the exclusive lock of `file`'s open file description. `WouldBlock` when another open holds it.
pub(super) fn lock_exclusively(file: &File) -> io::Result<()> {
    match lock_whole(file, libc::F_WRLCK) {
        Err(e) if e.raw_os_error() == Some(libc::EACCES) => Err(io::Error::from_raw_os_error(libc::EWOULDBLOCK)),
        outcome => outcome,
    }
}

/// Frees the lock for every descriptor of this open file.
pub(super) fn unlock(file: &File) -> io::Result<()> {
    lock_whole(file, libc::F_UNLCK)
}

fn lock_whole(file: &File, kind: libc::c_int) -> io::Result<()> {
    // An open file description lock, because a classic record lock belongs to the process: a second open of the same process
    // would be let in, and closing any descriptor of the file would free it.
    // SAFETY: all zeros is a valid `flock`: from byte 0, to the end, and `l_pid` 0 as these locks demand.
    let mut whole: libc::flock = unsafe { MaybeUninit::zeroed().assume_init() };
    whole.l_type = kind as libc::c_short;
    whole.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open, and the kernel only reads the structure.
    retry(|| unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &whole) }).map(|_| ())
}

/// Allocates `bytes` behind the end of an empty file without making it longer; a file system that cannot is left alone.
pub(super) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    reserve_from(file, 0, bytes).map(|_| ())
}

/// The same from byte `from` on. False where the file system cannot.
pub(super) fn reserve_from(file: &File, from: u64, bytes: u64) -> io::Result<bool> {
    match fallocate(file, libc::FALLOC_FL_KEEP_SIZE, from, bytes) {
        Err(e) if cannot_allocate(&e) => Ok(false),
        outcome => outcome.map(|()| true),
    }
}

/// Whether a file lies on ext4.
pub(super) fn is_ext4(file: &File) -> io::Result<bool> {
    let mut stat = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: an open descriptor, and the structure is ours to fill.
    retry(|| unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the kernel filled it.
    Ok(unsafe { stat.assume_init() }.f_type as u32 == EXT4_MAGIC)
}

/// Allocates the first `len` bytes of a file and makes it that long if it was shorter.
pub(super) fn allocate(file: &File, len: u64) -> io::Result<()> {
    match fallocate(file, 0, 0, len) {
        Err(e) if cannot_allocate(&e) => allocate_by_writing(file, len),
        outcome => outcome,
    }
}

/// Writes every page over with what it holds, zeros behind the end: slow, but no hole is left.
fn allocate_by_writing(file: &File, len: u64) -> io::Result<()> {
    let held = file.metadata()?.len();
    let mut page = [0_u8; 4096];
    let mut at = 0;
    while at < len {
        let bytes = page.len().min(usize::try_from(len - at).unwrap_or(usize::MAX));
        let page = &mut page[..bytes];
        page.fill(0);
        let kept = bytes.min(usize::try_from(held.saturating_sub(at)).unwrap_or(usize::MAX));
        file.read_exact_at(&mut page[..kept], at)?;
        file.write_all_at(page, at)?;
        at += bytes as u64;
    }
    Ok(())
}

/// Begins to write dirty pages. An error of writing is left for fsync: only the calls that wait take it away.
pub(super) fn begin_writeback(file: &File, len: u64) -> io::Result<()> {
    let len = libc::off64_t::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    // SAFETY: an open descriptor and three numbers.
    retry(|| unsafe { libc::sync_file_range(file.as_raw_fd(), 0, len, libc::SYNC_FILE_RANGE_WRITE) }).map(|_| ())
}

fn fallocate(file: &File, mode: libc::c_int, from: u64, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let off_t = |n| libc::off_t::try_from(n).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge));
    let (from, bytes) = (off_t(from)?, off_t(bytes)?);
    // SAFETY: an open descriptor and three numbers.
    retry(|| unsafe { libc::fallocate(file.as_raw_fd(), mode, from, bytes) }).map(|_| ())
}

fn cannot_allocate(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL))
}

/// One `pwritev` of at most [`PIECES_MAX`] pieces; answers how many bytes of all together were written.
pub(super) fn write_pieces_once(file: &File, at: u64, pieces: &[&[u8]]) -> io::Result<usize> {
    let at = libc::off_t::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    assert!(pieces.len() <= PIECES_MAX, "{} pieces in one write", pieces.len());
    let mut vector = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; PIECES_MAX];
    for (slot, piece) in vector.iter_mut().zip(pieces) {
        *slot = libc::iovec { iov_base: piece.as_ptr() as *mut _, iov_len: piece.len() };
    }
    loop {
        // SAFETY: the pieces are borrowed for the length of the call, there are as many as is said, and the kernel only reads.
        let written = unsafe { libc::pwritev(file.as_raw_fd(), vector.as_ptr(), pieces.len() as libc::c_int, at) };
        match usize::try_from(written) {
            Ok(written) => return Ok(written),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

fn statvfs(dir: &Path) -> io::Result<libc::statvfs> {
    let dir = CString::new(dir.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends in a zero, and the structure is ours to fill.
    retry(|| unsafe { libc::statvfs(dir.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the kernel filled it.
    Ok(unsafe { stat.assume_init() })
}

/// What a directory lies on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileSystem {
    /// `ext4` (also for its elder brothers), `xfs`, `btrfs`, `tmpfs`, ...; `unknown` when we have no name for it.
    pub kind: &'static str,
    /// Whether it lies on another machine, where locks and flushes promise less.
    pub is_network: bool,
    /// Whether it forgets everything when the machine stops.
    pub is_memory: bool,
    /// Whether it is mounted read-only.
    pub is_read_only: bool,
    /// Bytes of one block, the unit of allocation.
    pub block_bytes: u64,
    pub total_bytes: u64,
    /// Bytes that an ordinary user may still allocate.
    pub free_bytes: u64,
}

/// What the directory `dir` lies on.
pub fn file_system(dir: &Path) -> io::Result<FileSystem> {
    let stat = statvfs(dir)?;
    let (kind, place) = kind_of(magic_of(dir)?);
    Ok(FileSystem {
        kind,
        is_network: place == Place::Network,
        is_memory: place == Place::Memory,
        is_read_only: stat.f_flag & libc::ST_RDONLY != 0,
        block_bytes: wide(stat.f_frsize),
        total_bytes: wide(stat.f_blocks).saturating_mul(wide(stat.f_frsize)),
        free_bytes: wide(stat.f_bavail).saturating_mul(wide(stat.f_frsize)),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Device,
    Memory,
    Network,
}

const EXT4_MAGIC: u32 = 0xef53;

/// From statfs(2) and the kernel's `magic.h`.
fn kind_of(magic: u32) -> (&'static str, Place) {
    match magic {
        EXT4_MAGIC => ("ext4", Place::Device),
        0x5846_5342 => ("xfs", Place::Device),
        0x9123_683e => ("btrfs", Place::Device),
        0xf2f5_2010 => ("f2fs", Place::Device),
        0x2fc1_2fc1 => ("zfs", Place::Device),
        0xca45_1a4e => ("bcachefs", Place::Device),
        0x794c_7630 => ("overlay", Place::Device),
        0xf15f => ("ecryptfs", Place::Device),
        0x2405_1905 => ("ubifs", Place::Device),
        0x72b6 => ("jffs2", Place::Device),
        0x4d44 => ("vfat", Place::Device),
        0x2011_bab0 => ("exfat", Place::Device),
        0x7366_746e => ("ntfs3", Place::Device),
        0x6573_5546 => ("fuse", Place::Device),
        0x7371_7368 => ("squashfs", Place::Device),
        0x0102_1994 => ("tmpfs", Place::Memory),
        0x8584_58f6 => ("ramfs", Place::Memory),
        0x6969 => ("nfs", Place::Network),
        0xff53_4d42 => ("cifs", Place::Network),
        0xfe53_4d42 => ("smb2", Place::Network),
        0x0102_1997 => ("9p", Place::Network),
        0x00c3_6400 => ("ceph", Place::Network),
        0x0bd0_0bd0 => ("lustre", Place::Network),
        0x7461_636f => ("ocfs2", Place::Network),
        0x0116_1970 => ("gfs2", Place::Network),
        _ => ("unknown", Place::Device),
    }
}

fn magic_of(dir: &Path) -> io::Result<u32> {
    let dir = CString::new(dir.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path ends in a zero, and the structure is ours to fill.
    retry(|| unsafe { libc::statfs(dir.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the kernel filled it.
    let stat = unsafe { stat.assume_init() };
    // The field's type differs between systems; every magic number has 32 bits.
    Ok(stat.f_type as u32)
}

/// How much of a file lies in memory, in bytes of whole pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PageCache {
    pub cached_bytes: u64,
    /// Written, and not yet on its way to the device; `None` where the kernel does not tell (before Linux 6.5).
    pub dirty_bytes: Option<u64>,
    /// On its way to the device.
    pub writeback_bytes: Option<u64>,
}

/// How much of the `bytes` bytes at byte `from` of a file lies in memory. `None` when the kernel will not tell.
pub fn page_cache(file: &File, from: u64, bytes: u64) -> io::Result<Option<PageCache>> {
    let held = file.metadata()?.len().saturating_sub(from);
    let bytes = bytes.min(held);
    if bytes == 0 {
        return Ok(Some(PageCache { cached_bytes: 0, dirty_bytes: Some(0), writeback_bytes: Some(0) }));
    }
    match cachestat(file, from, bytes) {
        Some(cache) => Ok(Some(cache)),
        None => mincore(file, from, bytes),
    }
}

/// Linux 6.5 and later; refused where a sandbox does not know it, or where the file is not ours.
fn cachestat(file: &File, from: u64, bytes: u64) -> Option<PageCache> {
    /// The same number on every architecture. `libc` has it for few.
    const SYS_CACHESTAT: libc::c_long = 451;
    #[repr(C)]
    struct Range {
        from: u64,
        bytes: u64,
    }
    #[repr(C)]
    #[derive(Default)]
    struct Pages {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }
    let range = Range { from, bytes };
    let mut pages = Pages::default();
    // SAFETY: both structures have the kernel's layout, and are ours to read and to fill.
    let outcome = unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut pages, 0) };
    let page = page_bytes();
    (outcome == 0).then(|| PageCache {
        cached_bytes: pages.cached * page,
        dirty_bytes: Some(pages.dirty * page),
        writeback_bytes: Some(pages.writeback * page),
    })
}

fn mincore(file: &File, from: u64, bytes: u64) -> io::Result<Option<PageCache>> {
    let page = page_bytes();
    let start = from - from % page;
    let mapped = usize::try_from(from + bytes - start).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let map = memmap2::MmapOptions::new().offset(start).len(mapped).map_raw_read_only(file)?;
    let mut pages = vec![0_u8; (mapped as u64).div_ceil(page) as usize];
    // SAFETY: the range is mapped and begins at a page; the kernel writes one byte for each of its pages. No page is touched.
    let outcome = unsafe { libc::mincore(map.as_mut_ptr().cast(), mapped, pages.as_mut_ptr()) };
    if outcome == -1 {
        return Ok(None);
    }
    let cached = pages.iter().filter(|page| **page & 1 != 0).count() as u64;
    Ok(Some(PageCache { cached_bytes: cached * page, dirty_bytes: None, writeback_bytes: None }))
}

/// The length that no file of this process may pass (`RLIMIT_FSIZE`).
///
/// The kernel answers a write behind it with a signal that ends the process. The host did not ask for that and we install no
/// handlers, so our files look before they write.
pub(super) fn file_bytes_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is ours to fill.
    let outcome = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) };
    if outcome == -1 || limit.rlim_cur == libc::RLIM_INFINITY {
        return u64::MAX;
    }
    wide(limit.rlim_cur)
}

/// The system's counts have 32 bits on some machines.
pub(super) fn wide(count: impl Into<u64>) -> u64 {
    count.into()
}

fn page_bytes() -> u64 {
    // SAFETY: a number in, a number out; this one always has an answer.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Calls again while a signal interrupts; -1 becomes the error in `errno`.
fn retry(mut call: impl FnMut() -> libc::c_int) -> io::Result<libc::c_int> {
    loop {
        let answer = call();
        if answer != -1 {
            return Ok(answer);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn allocating_by_writing_keeps_what_is_there_and_leaves_no_hole() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"begin", 0).unwrap();
        file.write_all_at(b"middle", 9_000).unwrap();
        allocate_by_writing(&file, 20_001).unwrap();
        let mut bytes = vec![9; 20_001];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((&bytes[..6], &bytes[8_999..9_007]), (&b"begin\0"[..], &b"\0middle\0"[..]));
        assert_eq!(file.metadata().unwrap().len(), 20_001);
        file.sync_all().unwrap();
        assert!(file.metadata().unwrap().blocks() * 512 >= 20_001);
        allocate_by_writing(&file, 100).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 20_001, "a longer file stays as long as it is");
    }

    #[test]
    fn the_page_cache_holds_what_was_just_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create_new(dir.path().join("f")).unwrap();
        file.write_all_at(&[1; 10_000], 0).unwrap();
        let file = File::open(dir.path().join("f")).unwrap();
        assert_eq!(
            page_cache(&file, 0, u64::MAX).unwrap().unwrap().cached_bytes,
            10_000_u64.div_ceil(page_bytes()) * page_bytes()
        );
        assert_eq!(page_cache(&file, 20_000, 1).unwrap().unwrap().cached_bytes, 0);
        if let Some(cache) = mincore(&file, 5_000, 5_000).unwrap() {
            assert!(cache.cached_bytes >= 5_000 && cache.dirty_bytes.is_none());
        }
    }

    #[test]
    fn a_directory_knows_its_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let found = file_system(dir.path()).unwrap();
        assert!(!found.is_read_only && found.block_bytes > 0 && found.total_bytes >= found.free_bytes);
        assert!(file_system(&dir.path().join("none")).is_err());
        if Path::new("/dev/shm").is_dir() {
            let shm = file_system(Path::new("/dev/shm")).unwrap();
            assert!(shm.kind != "tmpfs" || shm.is_memory);
        }
    }
}
