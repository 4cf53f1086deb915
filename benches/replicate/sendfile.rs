//! What `sendfile` would save a leader that sends cold records over TCP. No product code: it decides whether there should be some.

use crate::Bench;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::Instant;

const BYTES: u64 = 1 << 30;
const PIECE: u64 = 1 << 20;

pub fn sendfile(bench: &Bench) {
    let name = "tcp: 1 GiB of a file is sent";
    if !bench.wants(name) {
        return;
    }
    let path = bench.dir.join("cold");
    let file = File::options().create(true).read(true).write(true).truncate(true).open(&path).expect("creates");
    let mut piece = vec![7; PIECE as usize];
    (0..BYTES / PIECE).for_each(|n| file.write_all_at(&piece, n * PIECE).expect("writes"));
    let line = |what: &str, send: &mut dyn FnMut(&File, &mut TcpStream, u64)| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let mut to = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        let (mut from, _) = listener.accept().expect("accepts");
        let sink = std::thread::spawn(move || {
            let mut into = vec![0; PIECE as usize];
            while from.read(&mut into).is_ok_and(|bytes| bytes > 0) {}
        });
        let (began, cpu) = (Instant::now(), cpu_nanos());
        (0..BYTES / PIECE).for_each(|n| send(&file, &mut to, n * PIECE));
        let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_nanos() - cpu);
        drop(to);
        sink.join().expect("ends");
        println!(
            "{name:<30} {what:<38} {:>5.0} MB/s, {:>4} us of the sender's CPU a MiB",
            BYTES as f64 / took / 1e6,
            cpu / 1000 / (BYTES / PIECE)
        );
    };
    for _ in 0..3 {
        line("pread, checksum, write", &mut |file, to, at| {
            file.read_exact_at(&mut piece, at).expect("reads");
            std::hint::black_box(crc32c::crc32c(&piece));
            to.write_all(&piece).expect("sends");
        });
        // The standard library does that by sendfile on Linux.
        line("sendfile, without a checksum", &mut |mut file, to, at| {
            file.seek(std::io::SeekFrom::Start(at)).expect("seeks");
            std::io::copy(&mut file.take(PIECE), to).expect("sends");
        });
        line("sendfile, and pread for a checksum", &mut |mut file, to, at| {
            file.read_exact_at(&mut piece, at).expect("reads");
            std::hint::black_box(crc32c::crc32c(&piece));
            file.seek(std::io::SeekFrom::Start(at)).expect("seeks");
            std::io::copy(&mut file.take(PIECE), to).expect("sends");
        });
    }
    std::fs::remove_file(path).expect("removes");
}

/// Of this thread, so far.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds")
}
