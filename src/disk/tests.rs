//! The promises of the disk seam, kept by the operating system's files. Children are this test program, run again.

use super::*;
use crate::planted::planted;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::{tempdir, TempDir};

/// Where a child finds its errand; without it the tests that play the child do nothing.
const ERRAND: &str = "KAFKALOG_TEST_ERRAND";

/// Runs one test of this program in a process of its own and waits for its word that it is ready.
fn start(test: &str, errand: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ERRAND, errand)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("READY")), "the child ended before it was ready");
    child
}

fn ready_then_wait_for_the_parent() {
    println!("READY");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn file_with(bytes: &[u8]) -> (TempDir, Arc<dyn DiskFile>) {
    let dir = tempdir().unwrap();
    let file = RealDisk.create(&dir.path().join("f"), 0).unwrap();
    file.write_at(0, bytes).unwrap();
    (dir, file)
}

#[test]
fn a_lock_excludes_a_second_open_of_the_same_process_until_it_is_dropped() {
    let dir = tempdir().unwrap();
    let path = dir.path().join(".lock");
    let held = RealDisk.lock(&path).unwrap();
    assert_eq!(RealDisk.lock(&path).err().unwrap().kind(), ErrorKind::WouldBlock);
    drop(held);
    RealDisk.lock(&path).unwrap();
}

#[test]
fn a_lock_excludes_another_process_until_that_is_killed() {
    if let Some(path) = std::env::var_os(ERRAND) {
        let _held = RealDisk.lock(path.as_ref()).unwrap();
        ready_then_wait_for_the_parent();
        return;
    }
    let dir = tempdir().unwrap();
    let path = dir.path().join(".lock");
    let mut child = start("disk::tests::a_lock_excludes_another_process_until_that_is_killed", &path);
    assert_eq!(RealDisk.lock(&path).err().unwrap().kind(), ErrorKind::WouldBlock);
    child.kill().unwrap();
    child.wait().unwrap();
    RealDisk.lock(&path).unwrap();
}

#[test]
fn a_forked_child_does_not_keep_the_lock_of_its_dead_parent() {
    if let Some(path) = std::env::var_os(ERRAND) {
        let held = RealDisk.lock(path.as_ref()).unwrap();
        // SAFETY: the child only drops a lock (which does nothing there), writes, and waits for its standard input to end.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop(held);
            // SAFETY: bytes of our own; then the process ends without running anything of the test harness.
            unsafe {
                libc::write(1, b"\nREADY\n".as_ptr().cast(), 7);
                libc::read(0, [0_u8; 1].as_mut_ptr().cast(), 1);
                libc::_exit(0);
            }
        }
        // The child speaks for both, because only it knows when it has let go.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let dir = tempdir().unwrap();
    let path = dir.path().join(".lock");
    let mut parent = start("disk::tests::a_forked_child_does_not_keep_the_lock_of_its_dead_parent", &path);
    // What the child dropped was not the parent's.
    assert_eq!(RealDisk.lock(&path).err().unwrap().kind(), ErrorKind::WouldBlock);
    // The grandchild goes on: its standard input stays open until `stdin` is dropped.
    let stdin = parent.stdin.take();
    parent.kill().unwrap();
    parent.wait().unwrap();
    RealDisk.lock(&path).unwrap();
    drop(stdin);
}

#[test]
fn a_forked_child_sees_another_fork_generation() {
    let before = fork_generation().unwrap();
    // SAFETY: the child makes one atomic load and ends at once.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let differs = fork_generation() == Some(before + 1);
        // SAFETY: ends the process without running anything of the test harness.
        unsafe { libc::_exit(i32::from(!differs)) };
    }
    let mut status = -1;
    // SAFETY: our own child, our own integer.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0);
    assert_eq!(fork_generation(), Some(before));
}

#[test]
fn a_mapping_survives_the_removal_of_its_file() {
    let (dir, file) = file_with(b"0123456789");
    let mapped = file.map(8).unwrap();
    drop(file);
    RealDisk.remove(&dir.path().join("f")).unwrap();
    assert_eq!(mapped.slice(2..), b"234567"[..]);
}

#[test]
fn mapping_nothing_is_empty_and_mapping_too_much_is_an_error() {
    let (_dir, file) = file_with(b"0123456789");
    assert!(file.map(0).unwrap().is_empty());
    assert_eq!(file.map(11).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(file.map_mut(0).err().unwrap().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_writable_map_is_allocated_keeps_the_old_bytes_and_is_cut_on_close() {
    let (dir, file) = file_with(b"old");
    let map = file.map_mut(10_000).unwrap();
    assert!(file.allocated_bytes().unwrap() >= 10_000);
    assert_eq!((file.len().unwrap(), map.capacity()), (10_000, 10_000));
    map.write(3, b"new");
    map.sync().unwrap();
    let mut bytes = [9; 7];
    map.read(0, &mut bytes);
    assert_eq!(&bytes, b"oldnew\0");
    file.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"oldnew\0");
    map.trim_on_close(6);
    let second = map.clone();
    drop(map);
    assert_eq!(file.len().unwrap(), 10_000, "somebody still holds it");
    drop((second, file));
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"oldnew");
}

#[test]
#[should_panic(expected = "outside a map")]
fn a_writable_map_checks_its_bounds() {
    let (_dir, file) = file_with(b"");
    file.map_mut(8).unwrap().write(usize::MAX, b"xy");
}

/// Gives the thread a file system of `bytes` bytes at `dir` that nobody else sees, or says why not.
fn mount_tmpfs(dir: &Path, bytes: u64) -> io::Result<()> {
    let c = |text: &str| std::ffi::CString::new(text).unwrap();
    let (root, tmpfs, at, size) = (c("/"), c("tmpfs"), c(dir.to_str().unwrap()), c(&format!("size={bytes}")));
    let check = |outcome| if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: strings that end in zero and live over the calls; the new mount namespace is this thread's alone.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        check(libc::mount(std::ptr::null(), root.as_ptr(), std::ptr::null(), private, std::ptr::null()))?;
        check(libc::mount(tmpfs.as_ptr(), at.as_ptr(), tmpfs.as_ptr(), 0, size.as_ptr().cast()))
    }
}

#[test]
fn a_full_disk_is_an_error_when_mapping_reserving_or_writing_and_never_a_fault() {
    let dir = tempdir().unwrap();
    // A thread of its own, because it leaves the mount namespace of the others.
    let outcome = std::thread::scope(|scope| scope.spawn(|| full_disk(dir.path())).join());
    outcome.unwrap();
}

fn full_disk(dir: &Path) {
    if let Err(reason) = mount_tmpfs(dir, 64 << 10) {
        println!("SKIP: cannot mount a small file system: {reason}");
        return;
    }
    let file = RealDisk.create(&dir.join("f"), 0).unwrap();
    let full = |error: io::Error| assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    full(file.map_mut(1 << 20).err().unwrap());
    full(RealDisk.create(&dir.join("reserved"), 1 << 20).err().unwrap());
    assert!(!RealDisk.exists(&dir.join("reserved")).unwrap(), "what could not be reserved is not there");
    let map = file.map_mut(32 << 10).unwrap();
    let other = RealDisk.create(&dir.join("other"), 0).unwrap();
    full(other.write_pieces_at(0, &[&[1; 20 << 10], &[2; 40 << 10]]).unwrap_err());
    map.write(0, &[7; 32 << 10]);
    map.sync().unwrap();
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_signal() {
    if let Some(dir) = std::env::var_os(ERRAND) {
        let limit = libc::rlimit { rlim_cur: 10_000, rlim_max: 10_000 };
        // SAFETY: the structure is ours and only read. This process does nothing else.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
        let file = RealDisk.create(&Path::new(&dir).join("f"), 0).unwrap();
        let too_big = |outcome: io::Result<()>| assert_eq!(outcome.unwrap_err().raw_os_error(), Some(libc::EFBIG));
        file.write_at(9_000, &[1; 1_000]).unwrap();
        too_big(file.write_at(9_500, &[1; 501]));
        too_big(file.write_pieces_at(9_500, &[&[1; 250], &[1; 251]]));
        too_big(file.write_at(u64::MAX, &[1]));
        too_big(file.set_len(10_001));
        too_big(file.map_mut(10_001).map(|_| ()));
        assert_eq!(file.len().unwrap(), 10_000);
        ready_then_wait_for_the_parent();
        return;
    }
    let dir = tempdir().unwrap();
    // That it came so far as to be ready is the verdict; how it ends says nothing, because nobody reads its output then.
    let mut child = start("disk::tests::a_limit_on_the_size_of_files_is_an_error_and_no_signal", dir.path());
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn writing_pieces_equals_writing_them_joined() {
    let (_dir, file) = file_with(b"..");
    for (at, first, second) in [(2, "header", "payload"), (15, "", "tail"), (19, "end", ""), (22, "", "")] {
        file.write_pieces_at(at, &[first.as_bytes(), second.as_bytes()]).unwrap();
    }
    let mut bytes = [0; 22];
    file.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"..headerpayloadtailend");
    assert_eq!(file.len().unwrap(), 22);
    assert_eq!(file.read_at(1, &mut bytes).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn reserved_room_is_not_part_of_the_length() {
    let dir = tempdir().unwrap();
    let file = RealDisk.create(&dir.path().join("f"), 1 << 20).unwrap();
    assert_eq!(file.len().unwrap(), 0);
    if file.allocated_bytes().unwrap() == 0 {
        println!("SKIP: this file system cannot reserve");
    }
    assert_eq!(RealDisk.create(&dir.path().join("f"), 0).err().unwrap().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn files_opened_for_reading_cannot_be_written() {
    let (dir, _file) = file_with(b"x");
    let file = RealDisk.open_read(&dir.path().join("f")).unwrap();
    assert!(file.write_at(0, b"y").is_err() && file.set_len(0).is_err() && file.map_mut(1).is_err());
    assert!(RealDisk.open(&dir.path().join("none")).is_err());
    assert!(file.modified_ms().unwrap() > 1_600_000_000_000);
}

#[test]
fn a_listing_tells_files_from_directories_and_follows_links() {
    let (dir, _file) = file_with(b"");
    let sub = dir.path().join("sub");
    RealDisk.create_dir(&sub).unwrap();
    RealDisk.create_dir(&sub).unwrap();
    assert!(RealDisk.create_dir(&dir.path().join("f")).is_err());
    std::os::unix::fs::symlink(&sub, dir.path().join("to-sub")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("to-nothing")).unwrap();
    let mut entries: Vec<_> = RealDisk.list(dir.path()).unwrap().into_iter().map(|e| (e.name, e.is_dir)).collect();
    entries.sort();
    let expected = [("f", false), ("sub", true), ("to-nothing", false), ("to-sub", true)];
    assert_eq!(entries, expected.map(|(name, is_dir)| (name.to_owned(), is_dir)));
    RealDisk.rename(&dir.path().join("f"), &sub.join("g")).unwrap();
    assert!(RealDisk.exists(&sub.join("g")).unwrap() && !RealDisk.exists(&dir.path().join("f")).unwrap());
    assert!(RealDisk.remove_dir(&sub).is_err());
    RealDisk.remove(&sub.join("g")).unwrap();
    RealDisk.sync_dir(&sub).unwrap();
    RealDisk.remove_dir(&sub).unwrap();
    assert!(RealDisk.sync_dir(&sub).is_err() || planted!("bug-no-dir-fsync"));
}

#[test]
fn every_descriptor_is_closed_on_exec() {
    let (dir, _file) = file_with(b"x");
    let _lock = RealDisk.lock(&dir.path().join(".lock")).unwrap();
    let _watcher = Watcher::new().unwrap();
    let _event = EventFd::new().unwrap();
    let inherited = Command::new("sh").args(["-c", "ls -l /proc/self/fd"]).output().unwrap();
    let listing = String::from_utf8_lossy(&inherited.stdout).into_owned();
    let dir = dir.path().to_str().unwrap();
    assert!(!listing.contains(dir) && !listing.contains("inotify") && !listing.contains("eventfd"), "{listing}");
}

#[test]
fn a_watcher_wakes_on_a_write_of_another_thread() {
    let (dir, file) = file_with(b"");
    let watcher = Watcher::new().unwrap();
    let _watch = watcher.watch(dir.path()).unwrap();
    assert!(!watcher.wait(Some(Duration::ZERO)).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| file.write_at(0, b"x").unwrap());
        assert!(watcher.wait(None).unwrap());
    });
}

#[test]
fn a_watcher_wakes_on_a_write_of_another_process() {
    let (dir, _file) = file_with(b"");
    let watcher = Watcher::new().unwrap();
    let _watch = watcher.watch(dir.path()).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "read go; printf x >> f"]).current_dir(dir.path()).stdin(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    assert!(!watcher.wait(Some(Duration::ZERO)).unwrap());
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert!(watcher.wait(None).unwrap());
    child.wait().unwrap();
}

#[test]
fn a_watcher_can_be_woken_and_forgets_what_it_told() {
    let (dir, file) = file_with(b"");
    let watcher = Watcher::new().unwrap();
    let first = watcher.watch(dir.path()).unwrap();
    let second = watcher.watch(dir.path()).unwrap();
    let waker = watcher.waker();
    std::thread::scope(|scope| {
        scope.spawn(|| waker.signal());
        assert!(watcher.wait(None).unwrap());
    });
    assert!(!watcher.wait(Some(Duration::ZERO)).unwrap());
    drop(first);
    file.write_at(0, b"x").unwrap();
    assert!(watcher.wait(Some(Duration::ZERO)).unwrap(), "the second holder still watches");
    drop(second);
    watcher.wait(Some(Duration::ZERO)).unwrap();
    file.write_at(0, b"y").unwrap();
    assert!(!watcher.wait(Some(Duration::ZERO)).unwrap());
    assert!(watcher.watch(&dir.path().join("f")).is_err(), "only directories");
}

#[test]
fn an_event_descriptor_is_readable_between_signal_and_drain() {
    let event = EventFd::new().unwrap();
    assert!(event.as_raw_fd() >= 0 && !event.drain() && !event.wait(Some(Duration::ZERO)).unwrap());
    event.signal();
    event.signal();
    assert!(event.wait(None).unwrap() && event.wait(None).unwrap());
    assert!(event.drain() && !event.drain());
}

fn is_blocked(signal: libc::c_int) -> bool {
    let mut mask = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: with no new set the call only fills ours.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr());
        libc::sigismember(mask.as_ptr(), signal) == 1
    }
}

#[test]
fn our_threads_leave_signals_to_the_host_but_keep_their_own_faults() {
    std::thread::spawn(|| {
        {
            let _blocked = BlockedSignals::new();
            assert!(std::thread::spawn(|| is_blocked(libc::SIGTERM)).join().unwrap(), "a thread inherits the mask");
        }
        assert!(!is_blocked(libc::SIGTERM));
        let _blocked = BlockedSignals::new();
        assert!([libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGALRM, libc::SIGCHLD].into_iter().all(is_blocked));
        assert!(![libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGPROF].into_iter().any(is_blocked));
    })
    .join()
    .unwrap();
}

#[test]
fn the_process_can_tell_its_limit() {
    assert!(open_files_limit().unwrap().is_none_or(|files| files > 0));
}

#[test]
fn bytes_allocated_are_counted_without_holes() {
    let (dir, file) = file_with(b"");
    file.set_len(1 << 20).unwrap();
    assert_eq!(file.allocated_bytes().unwrap(), fs::metadata(dir.path().join("f")).unwrap().blocks() * 512);
    assert!(file.allocated_bytes().unwrap() < 1 << 20);
}
