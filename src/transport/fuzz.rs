//! What must hold for any bytes whatever that a socket brings. Called by the fuzzer and, over its seeds, by the tests.

use super::frame_reader::{FrameFault, FrameReader};
use super::handshake::{self, Me, Message, Role, Wanted};
use super::{Frame, Secret};
use crate::types::NodeId;
use bytes::Bytes;
use std::io::{self, Read, Write};

/// Small, so that a fuzzer reaches both sides of it.
const FRAME_BYTES_MAX: u32 = 64 * 1024;

/// The first byte says in which pieces the others arrive.
pub fn net_frame(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    let piece = usize::from(*piece) + 1;
    read_frames(bytes, piece);
    // No fuzzer guesses a checksum; so the same bytes once more as the payload of sound frames.
    let sound: Vec<Bytes> = bytes.chunks(piece * 64).map(Bytes::copy_from_slice).collect();
    let (read, fault) = frames_in(&encode(&sound), piece);
    assert!(read == sound && fault.is_none());
    parse_messages(bytes);
    for secret in [None, Some(Secret::new(b"secret"))] {
        greet(bytes, piece, secret);
    }
}

/// However the bytes are cut, the same frames come out, and they are those that the bytes began with.
fn read_frames(bytes: &[u8], piece: usize) {
    let (frames, fault) = frames_in(bytes, piece);
    let (at_once, other_fault) = frames_in(bytes, usize::MAX);
    assert!(frames == at_once && fault.is_some() == other_fault.is_some());
    let encoded = encode(&frames);
    assert!(bytes.starts_with(&encoded));
    assert!(fault.is_some() || bytes.len() == encoded.len());
}

fn frames_in(bytes: &[u8], piece: usize) -> (Vec<Bytes>, Option<FrameFault>) {
    let mut reader = FrameReader::new(Pieces { bytes, piece, said: 0 }, FRAME_BYTES_MAX);
    let mut frames = Vec::new();
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(fault) => return (frames, Some(fault)),
        }
    }
}

fn encode(payloads: &[Bytes]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in payloads {
        bytes.extend(Frame::from(payload.clone()).header().encode());
        bytes.extend_from_slice(payload);
    }
    bytes
}

/// What parses survives the way there and back, and no part of it parses.
fn parse_messages(mut bytes: &[u8]) {
    while let Ok(Some((message, length))) = Message::parse(bytes) {
        assert!(length <= handshake::HANDSHAKE_BYTES_MAX);
        assert_eq!(Message::parse(&bytes[..length - 1]), Ok(None));
        let encoded = message.encode();
        assert_eq!(Message::parse(&encoded), Ok(Some((message, encoded.len()))));
        bytes = &bytes[length..];
    }
}

/// Nobody gets in without the secret, and no conversation goes on for ever.
fn greet(bytes: &[u8], piece: usize, secret: Option<Secret>) {
    let is_guarded = secret.is_some();
    let me = Me {
        role: Role::Node,
        number: NodeId(1),
        cluster: [7; 16],
        secret,
        incarnation: 1,
        frame_bytes_max: FRAME_BYTES_MAX,
    };
    let mut stranger = Pieces { bytes, piece, said: 0 };
    let accepted =
        handshake::accept(&mut stranger, &me, |hello| Ok(hello.number), |_, _, i_choose| Ok(i_choose.then_some(1)));
    assert!(!is_guarded || accepted.is_err());
    assert!(stranger.said <= handshake::HANDSHAKE_BYTES_MAX);
    let mut stranger = Pieces { bytes, piece, said: 0 };
    let dialled = handshake::dial(&mut stranger, &me, Wanted { node: NodeId(2), insists: false }, || true, || Some(1));
    assert!(!is_guarded || dialled.is_err());
    assert!(stranger.said <= handshake::HANDSHAKE_BYTES_MAX);
}

/// Bytes that arrive in pieces; counts what is said to them.
struct Pieces<'a> {
    bytes: &'a [u8],
    piece: usize,
    said: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.piece);
        self.bytes.read(&mut into[..count])
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.said += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::handshake::{Hello, Proof, Refusal};
    use std::path::Path;

    fn messages(knows_secret: bool) -> Vec<u8> {
        let hello = Hello {
            version_min: 1,
            version_max: 1,
            role: Role::Node,
            knows_secret,
            insists: false,
            cluster: [7; 16],
            number: NodeId(2),
            expects: Some(NodeId(1)),
            incarnation: 3,
            frame_bytes_max: 4096,
            nonce: [5; 32],
        };
        let proof = Proof { hmac: [6; 32], generation: None, number: NodeId(2) };
        [Message::Hello(hello), Message::Proof(proof), Message::Ready { generation: 1 }]
            .iter()
            .flat_map(Message::encode)
            .collect()
    }

    #[test]
    #[ignore = "writes the seeds"]
    fn write_the_seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/net_frame");
        std::fs::create_dir_all(&folder).unwrap();
        let payload = |length: usize| Bytes::from((0..length).map(|i| i as u8).collect::<Vec<_>>());
        let small = encode(&[payload(0), payload(1), payload(100)]);
        let large = encode(&[payload(17_000), payload(3)]);
        let mut wrong_sum = small.clone();
        wrong_sum[30] ^= 1;
        let seeds: [(&str, Vec<u8>); 10] = [
            ("frames-small", small.clone()),
            ("frames-large", large.clone()),
            ("frames-cut", large[..10_000].to_vec()),
            ("frames-wrong-sum", wrong_sum),
            ("frames-bomb", vec![0xff; 12]),
            ("frames-over-the-cap", (FRAME_BYTES_MAX + 1).to_be_bytes().repeat(2)),
            ("handshake-open", [messages(false), small].concat()),
            ("handshake-secret", messages(true)),
            ("handshake-refused", Message::Refused(Refusal::Cluster).encode()),
            ("handshake-not-ours", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ];
        for (name, bytes) in seeds {
            for (pieces, first) in [("", 255), ("-in-pieces", 6)] {
                std::fs::write(folder.join(format!("{name}{pieces}")), [&[first][..], &bytes].concat()).unwrap();
            }
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        for seed in 0..3000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = messages(random.bool());
            bytes.extend(encode(&[Bytes::from_static(b"frame")]));
            bytes.insert(0, random.u8(..));
            for _ in 0..random.usize(..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            bytes.truncate(random.usize(..=bytes.len()));
            let survived = std::panic::catch_unwind(|| net_frame(&bytes));
            assert!(survived.is_ok(), "seed {seed}");
        }
    }
}
