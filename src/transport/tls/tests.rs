//! Two sessions with nothing but bytes between them.

use super::session::SEALED_BYTES_MAX;
use super::{Tls, TlsKeys};
use crate::config::SslConfig;
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

fn keys() -> TlsKeys {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let config = SslConfig {
        keystore: Some(data.join("node.pem")),
        truststore: Some(data.join("ca.pem")),
        checks_names: true,
        ..SslConfig::default()
    };
    TlsKeys::load(&config).unwrap().unwrap()
}

/// Two that have shaken hands; nothing of it is left on the way.
fn acquainted() -> (Tls, Tls) {
    let (dialler, acceptor) = (keys().dialling("localhost").unwrap(), keys().listening().unwrap());
    let (mut near, mut far) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| acceptor.shake_hands(&mut far).unwrap());
        dialler.shake_hands(&mut near).unwrap();
    });
    (dialler, acceptor)
}

fn write_all(tls: &Tls, mut plain: &[u8], sealed: &mut Vec<u8>) {
    while !plain.is_empty() {
        plain = &plain[tls.write(&[IoSlice::new(plain)], |bytes| sealed.write(bytes)).unwrap()..];
    }
}

fn read_all(tls: &Tls, mut sealed: &[u8]) -> io::Result<Vec<u8>> {
    let mut reader = Reader { tls, more: |into: &mut [u8]| sealed.read(into) };
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain)?;
    Ok(plain)
}

struct Reader<'a, M> {
    tls: &'a Tls,
    more: M,
}

impl<M: FnMut(&mut [u8]) -> io::Result<usize>> Read for Reader<'_, M> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.tls.read(into, &mut self.more)
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    (0..length).map(|_| random.u8(..)).collect()
}

#[test]
fn a_socket_that_takes_a_few_bytes_at_a_time_gets_everything_once_and_in_order() {
    let (one, two) = acquainted();
    let mut random = fastrand::Rng::with_seed(1);
    let plain = noise(300_000);
    let (mut sealed, mut written, mut refusals) = (Vec::new(), 0, 0);
    while written < plain.len() {
        let piece = random.usize(1..=plain.len() - written);
        let (first, second) = plain[written..].split_at(piece);
        let mut room = random.usize(..100_000);
        let before = sealed.len();
        let outcome = one.write(&[IoSlice::new(first), IoSlice::new(second)], |bytes| {
            let count = bytes.len().min(room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            room -= count;
            sealed.write(&bytes[..count])
        });
        match outcome {
            Ok(count) => {
                assert!((1..=SEALED_BYTES_MAX).contains(&count));
                written += count;
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                assert!(sealed.len() - before < 100_000);
                refusals += 1;
            }
        }
    }
    assert!(refusals > 0 && read_all(&two, &sealed).unwrap() == plain);
}

#[test]
fn keys_that_are_renewed_in_the_middle_change_nothing() {
    let (one, two) = acquainted();
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for round in 1..=5 {
        write_all(&one, &noise(round * 10_000), &mut there);
        one.refresh();
        write_all(&one, &noise(round), &mut there);
        let heard = read_all(&two, &std::mem::take(&mut there)).unwrap();
        assert!(heard == [noise(round * 10_000), noise(round)].concat());
        // The answer to the renewal goes with whatever is said next.
        write_all(&two, &noise(round), &mut back);
        assert!(read_all(&one, &std::mem::take(&mut back)).unwrap() == noise(round));
    }
}

#[test]
fn what_came_in_order_before_a_fault_is_still_read() {
    let (one, two) = acquainted();
    let mut sealed = Vec::new();
    write_all(&one, &noise(50_000), &mut sealed);
    let sound = sealed.len();
    write_all(&one, &noise(50_000), &mut sealed);
    sealed[sound + 5] ^= 1;
    let (mut plain, mut rest) = (Vec::new(), &sealed[..]);
    let mut reader = Reader { tls: &two, more: |into: &mut [u8]| rest.read(into) };
    let fault = reader.read_to_end(&mut plain).unwrap_err();
    assert_eq!(fault.kind(), io::ErrorKind::InvalidData);
    assert!(plain == noise(50_000));
    // And there it ends, for writing too.
    assert!(two.write(&[IoSlice::new(b"x")], |bytes| Ok(bytes.len())).is_err());
}

#[test]
fn an_end_without_a_farewell_is_an_end() {
    let (one, two) = acquainted();
    let mut sealed = Vec::new();
    write_all(&one, b"something", &mut sealed);
    assert_eq!(read_all(&two, &sealed).unwrap(), b"something");
    let begin = sealed.len();
    write_all(&one, &noise(100), &mut sealed);
    assert_eq!(read_all(&two, &sealed[begin..begin + 60]).unwrap(), b"", "half of a record is nothing");
}
