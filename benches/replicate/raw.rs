//! What an engineer would write by hand: a leader with a file, two followers with a file each, and a socket to each of them; nothing else.

#[allow(dead_code)] // the other one reads as well
#[path = "../paired/raw.rs"]
mod file;

use crate::cluster::Way;
use file::Raw;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// Batches on their way to a follower at the most.
const WINDOW: u64 = 64;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub fn pair(way: Way) -> (Stream, Stream) {
        match way {
            Way::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
                let one = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
                let (other, _) = listener.accept().expect("accepts");
                one.set_nodelay(true).expect("an option");
                other.set_nodelay(true).expect("an option");
                (Stream::Tcp(one), Stream::Tcp(other))
            }
            _ => {
                let (one, other) = UnixStream::pair().expect("a pair");
                (Stream::Unix(one), Stream::Unix(other))
            }
        }
    }

    fn clone(&self) -> Stream {
        match self {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone().expect("clones")),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone().expect("clones")),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
        .expect("writes");
    }

    /// False at the end.
    fn read(&mut self, bytes: &mut [u8]) -> bool {
        match self {
            Stream::Tcp(stream) => stream.read_exact(bytes),
            Stream::Unix(stream) => stream.read_exact(bytes),
        }
        .is_ok()
    }
}

/// How many batches a follower has confirmed.
#[derive(Default)]
struct Confirmed {
    count: Mutex<u64>,
    moved: Condvar,
}

struct Follower {
    to: Stream,
    confirmed: Arc<Confirmed>,
}

/// A leader and two followers.
pub struct Chain {
    leader: Raw,
    /// Over a channel a follower is nothing but a file.
    files: Vec<Raw>,
    followers: Vec<Follower>,
    sent: u64,
    ping: Option<Stream>,
}

impl Chain {
    pub fn open(path: &Path, way: Way) -> Chain {
        let file = |n| Raw::create(&path.with_extension(format!("{n}")));
        let mut chain = Chain { leader: file(0), files: Vec::new(), followers: Vec::new(), sent: 0, ping: None };
        if way == Way::Channel {
            chain.files = vec![file(1), file(2)];
            return chain;
        }
        for n in 1..=2 {
            let (here, there) = Stream::pair(way);
            let file = file(n);
            std::thread::spawn(move || follow(there, &file.file));
            let (mut from, confirmed) = (here.clone(), Arc::new(Confirmed::default()));
            let told = confirmed.clone();
            std::thread::spawn(move || {
                let mut answer = [0; 8];
                while from.read(&mut answer) {
                    *told.count.lock().expect("not poisoned") = u64::from_le_bytes(answer);
                    told.moved.notify_one();
                }
            });
            chain.followers.push(Follower { to: here, confirmed });
        }
        let (here, mut there) = Stream::pair(way);
        std::thread::spawn(move || {
            let mut bytes = [0; 180];
            while there.read(&mut bytes) {
                there.write(&bytes[..8]);
            }
        });
        chain.ping = Some(here);
        chain
    }

    /// So many batches, each confirmed by both.
    pub fn pipeline(&mut self, value: &[u8], records: u32, batches: u32) {
        for _ in 0..batches {
            self.leader.append(value, records, now_ms());
            for file in &mut self.files {
                file.file.write_all_at(self.leader.bytes(), file.at).expect("writes");
                file.at += self.leader.bytes().len() as u64;
            }
            self.sent += 1;
            for follower in &mut self.followers {
                wait(&follower.confirmed, (self.sent).saturating_sub(WINDOW));
                follower.to.write(&(self.leader.bytes().len() as u64).to_le_bytes());
                follower.to.write(self.leader.bytes());
            }
        }
        for follower in &self.followers {
            wait(&follower.confirmed, self.sent);
        }
    }

    /// The least that a lone record can cost: over a channel three writes, over a socket there and back.
    pub fn ping_pong(&mut self, value: &[u8]) {
        match &mut self.ping {
            None => self.pipeline(value, 1, 1),
            Some(ping) => {
                ping.write(&[7; 180]);
                assert!(ping.read(&mut [0; 8]));
            }
        }
    }
}

fn wait(confirmed: &Confirmed, at_least: u64) {
    let mut count = confirmed.count.lock().expect("not poisoned");
    while *count < at_least {
        count = confirmed.moved.wait(count).expect("not poisoned");
    }
}

fn follow(mut from: Stream, file: &File) {
    let (mut length, mut batch) = ([0; 8], Vec::new());
    let (mut at, mut count) = (0, 0u64);
    while from.read(&mut length) {
        batch.resize(u64::from_le_bytes(length) as usize, 0);
        if !from.read(&mut batch) {
            return;
        }
        file.write_all_at(&batch, at).expect("writes");
        at += batch.len() as u64;
        count += 1;
        from.write(&count.to_le_bytes());
    }
}

/// Reads a file in mebibytes and has somebody else write it; answers the bytes a second.
pub fn copy_over(path: &Path, bytes: u64, way: Way) -> f64 {
    const PIECE: usize = 1 << 20;
    let (source, target) = (Raw::create(&path.with_extension("from")), Raw::create(&path.with_extension("to")));
    let mut piece = vec![7; PIECE];
    for n in 0..bytes / PIECE as u64 {
        source.file.write_all_at(&piece, n * PIECE as u64).expect("writes");
    }
    let began = std::time::Instant::now();
    if way == Way::Channel {
        for n in 0..bytes / PIECE as u64 {
            source.file.read_exact_at(&mut piece, n * PIECE as u64).expect("reads");
            target.file.write_all_at(&piece, n * PIECE as u64).expect("writes");
        }
    } else {
        let (mut here, there) = Stream::pair(way);
        let follower = std::thread::spawn(move || follow(there, &target.file));
        let mut answer = [0; 8];
        for n in 0..bytes / PIECE as u64 {
            source.file.read_exact_at(&mut piece, n * PIECE as u64).expect("reads");
            here.write(&(PIECE as u64).to_le_bytes());
            here.write(&piece);
            assert!(here.read(&mut answer));
        }
        drop(here);
        follower.join().expect("ends");
    }
    let rate = bytes as f64 / began.elapsed().as_secs_f64();
    for end in ["from", "to"] {
        std::fs::remove_file(path.with_extension(end)).expect("removes");
    }
    rate
}
