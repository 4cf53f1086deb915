//! System calls that the standard library has no word for, each behind a safe function.

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
    // An open file description lock, because a classic record lock belongs to the process: a second open of the same process
    // would be let in, and closing any descriptor of the file would free it.
    // SAFETY: all zeros is a valid `flock`: from byte 0, to the end, and `l_pid` 0 as these locks demand.
    let mut whole: libc::flock = unsafe { MaybeUninit::zeroed().assume_init() };
    whole.l_type = libc::F_WRLCK as libc::c_short;
    whole.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open, and the kernel only reads the structure.
    let outcome = retry(|| unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &whole) });
    match outcome {
        Err(e) if e.raw_os_error() == Some(libc::EACCES) => Err(io::Error::from_raw_os_error(libc::EWOULDBLOCK)),
        outcome => outcome.map(|_| ()),
    }
}

/// Allocates `bytes` behind the end of an empty file without making it longer; a file system that cannot is left alone.
pub(super) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, libc::FALLOC_FL_KEEP_SIZE, bytes) {
        Err(e) if cannot_allocate(&e) => Ok(()),
        outcome => outcome,
    }
}

/// Allocates the first `len` bytes of a file and makes it that long if it was shorter.
pub(super) fn allocate(file: &File, len: u64) -> io::Result<()> {
    match fallocate(file, 0, len) {
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

fn fallocate(file: &File, mode: libc::c_int, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let bytes = libc::off_t::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    // SAFETY: an open descriptor and three numbers.
    retry(|| unsafe { libc::fallocate(file.as_raw_fd(), mode, 0, bytes) }).map(|_| ())
}

fn cannot_allocate(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL))
}

/// One `pwritev` of two pieces; answers how many bytes of both together were written.
pub(super) fn write_two_once(file: &File, at: u64, first: &[u8], second: &[u8]) -> io::Result<usize> {
    let at = libc::off_t::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let pieces = [first, second].map(|piece| libc::iovec { iov_base: piece.as_ptr() as *mut _, iov_len: piece.len() });
    loop {
        // SAFETY: both pieces are borrowed for the length of the call, and the kernel only reads from them.
        let written = unsafe { libc::pwritev(file.as_raw_fd(), pieces.as_ptr(), 2, at) };
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

/// Bytes that an ordinary user may still allocate in the file system of `dir`.
pub(super) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn statvfs(dir: &Path) -> io::Result<libc::statvfs> {
    let dir = CString::new(dir.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends in a zero, and the structure is ours to fill.
    retry(|| unsafe { libc::statvfs(dir.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the kernel filled it.
    Ok(unsafe { stat.assume_init() })
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
