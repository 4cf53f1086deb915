//! The handshake's messages and their bytes. All integers are big-endian.
//!
//! ```text
//!  0        4      5        7
//!  +--------+------+--------+------------
//!  | "KLNT" | kind | length | body ...        kind u8, length u16: bytes of the body
//!  +--------+------+--------+------------
//!
//!  1 Hello    0 version min u16   2 version max u16   4 role u8 (0 node, 1 client)   5 flags u8 (1: knows a secret,
//!              2: insists)
//!             6 cluster 16 bytes (zeros: any, clients only)
//!            22 number u32       26 number expected at the other end u32 (0xffffffff: any,
//!              clients only)
//!            30 incarnation u64   38 frame bytes max u32   42 nonce 32 bytes   74 end; a newer version may add more
//!  2 Proof    0 hmac 32 bytes     32 generation u64 (0: yours to choose)   40 number u32   44 end
//!  3 Ready    0 generation u64     8 end
//!  4 Refused  0 reason u8          1 end
//! ```

use crate::types::NodeId;
use std::fmt;
use std::ops::RangeInclusive;

/// Versions of what follows the handshake that this program speaks.
pub(in crate::transport) const VERSIONS: RangeInclusive<u16> = 1..=1;

/// As many bytes as one side of a handshake may send.
pub(in crate::transport) const HANDSHAKE_BYTES_MAX: usize = 1024;

const MAGIC: [u8; 4] = *b"KLNT";
pub(super) const HEAD_BYTES: usize = 7;
const HELLO_BYTES: usize = 74;
const PROOF_BYTES: usize = 44;
const READY_BYTES: usize = 8;
const REFUSED_BYTES: usize = 1;
const NOBODY: u32 = u32::MAX;
const KNOWS_SECRET: u8 = 1;
const INSISTS: u8 = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) enum Role {
    Node,
    Client,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::transport) struct Hello {
    pub version_min: u16,
    pub version_max: u16,
    pub role: Role,
    pub knows_secret: bool,
    /// The chooser's connection, if it has one, is dead: this side has none and has asked before.
    pub insists: bool,
    pub cluster: [u8; 16],
    pub number: NodeId,
    /// Whom the dialler wants.
    pub expects: Option<NodeId>,
    /// Drawn anew at each start.
    pub incarnation: u64,
    pub frame_bytes_max: u32,
    pub nonce: [u8; 32],
}

#[derive(Clone, PartialEq, Eq)]
pub(in crate::transport) struct Proof {
    pub hmac: [u8; 32],
    /// `None`: the other side chooses.
    pub generation: Option<u64>,
    /// The acceptor tells the dialler's number, the dialler repeats its own.
    pub number: NodeId,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::transport) enum Message {
    Hello(Hello),
    Proof(Proof),
    Ready { generation: u64 },
    Refused(Refusal),
}

/// Why one side does not want the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) enum Refusal {
    NotOurs = 1,
    Version = 2,
    Cluster = 3,
    UnknownNode = 4,
    OwnNumber = 5,
    OtherNode = 6,
    SecretMissing = 7,
    WrongSecret = 8,
    TooManyClients = 9,
    NotNeeded = 10,
    Unnamed = 11,
    OtherName = 12,
}

impl Refusal {
    const ALL: [Refusal; 11] = [
        Refusal::NotOurs,
        Refusal::Version,
        Refusal::Cluster,
        Refusal::UnknownNode,
        Refusal::OwnNumber,
        Refusal::OtherNode,
        Refusal::SecretMissing,
        Refusal::WrongSecret,
        Refusal::TooManyClients,
        Refusal::NotNeeded,
        Refusal::OtherName,
    ];

    fn of(number: u8) -> Refusal {
        Refusal::ALL.into_iter().find(|refusal| *refusal as u8 == number).unwrap_or(Refusal::Unnamed)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NotOurs => "these bytes are no handshake of kafkalog",
            Refusal::Version => "no version of the protocol is common to both",
            Refusal::Cluster => "the other side belongs to another cluster",
            Refusal::UnknownNode => "no peer of this number is known",
            Refusal::OwnNumber => "both sides have the same number",
            Refusal::OtherNode => "another node than the expected one is at this address",
            Refusal::SecretMissing => "one side has a cluster.secret, the other has none",
            Refusal::WrongSecret => "the two sides have different secrets",
            Refusal::TooManyClients => "too many clients are connected",
            Refusal::NotNeeded => "there is a connection already",
            Refusal::OtherName => {
                "the dialler's certificate does not name the host of the address under which that node is known"
            }
            Refusal::Unnamed => "a reason that this version does not know",
        })
    }
}

/// Head and body of a message, or `None` while bytes are missing.
///
/// # Errors
/// `NotOurs` as soon as the bytes cannot become a message.
impl Message {
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Message, usize)>, Refusal> {
        let magic = &bytes[..bytes.len().min(MAGIC.len())];
        if *magic != MAGIC[..magic.len()] {
            return Err(Refusal::NotOurs);
        }
        let Some(head) = bytes.first_chunk() else { return Ok(None) };
        let (kind, length) = Message::parse_head(head)?;
        let Some(body) = bytes.get(HEAD_BYTES..HEAD_BYTES + length) else { return Ok(None) };
        Ok(Some((Message::parse_body(kind, body)?, HEAD_BYTES + length)))
    }

    /// Kind and length of the body.
    pub fn parse_head(head: &[u8; HEAD_BYTES]) -> Result<(u8, usize), Refusal> {
        let [a, b, c, d, kind, high, low] = *head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        // Only a hello may grow in later versions: it comes before a version is agreed.
        let fits = match kind {
            1 => length >= HELLO_BYTES && HEAD_BYTES + length <= HANDSHAKE_BYTES_MAX / 2,
            2 => length == PROOF_BYTES,
            3 => length == READY_BYTES,
            4 => length == REFUSED_BYTES,
            _ => false,
        };
        if [a, b, c, d] == MAGIC && fits {
            Ok((kind, length))
        } else {
            Err(Refusal::NotOurs)
        }
    }

    /// `kind` and the body's length passed [`parse_head`](Message::parse_head).
    pub fn parse_body(kind: u8, body: &[u8]) -> Result<Message, Refusal> {
        let mut bytes = Fields(body);
        Ok(match kind {
            1 => Message::Hello(Hello::take(&mut bytes)?),
            2 => Message::Proof(Proof {
                hmac: bytes.take()?,
                generation: Some(u64::from_be_bytes(bytes.take()?)).filter(|generation| *generation != 0),
                number: NodeId(u32::from_be_bytes(bytes.take()?)),
            }),
            3 => Message::Ready { generation: u64::from_be_bytes(bytes.take()?) },
            4 => Message::Refused(Refusal::of(u8::from_be_bytes(bytes.take()?))),
            _ => return Err(Refusal::NotOurs),
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + HELLO_BYTES);
        bytes.extend(MAGIC);
        let (kind, length) = match self {
            Message::Hello(_) => (1, HELLO_BYTES),
            Message::Proof(_) => (2, PROOF_BYTES),
            Message::Ready { .. } => (3, READY_BYTES),
            Message::Refused(_) => (4, REFUSED_BYTES),
        };
        bytes.push(kind);
        bytes.extend(u16::try_from(length).expect("a message is short").to_be_bytes());
        match self {
            Message::Hello(hello) => hello.put(&mut bytes),
            Message::Proof(proof) => {
                bytes.extend(proof.hmac);
                bytes.extend(proof.generation.unwrap_or(0).to_be_bytes());
                bytes.extend(proof.number.0.to_be_bytes());
            }
            Message::Ready { generation } => bytes.extend(generation.to_be_bytes()),
            Message::Refused(refusal) => bytes.push(*refusal as u8),
        }
        debug_assert_eq!(bytes.len(), HEAD_BYTES + length);
        bytes
    }
}

impl Hello {
    fn take(bytes: &mut Fields<'_>) -> Result<Hello, Refusal> {
        let version_min = u16::from_be_bytes(bytes.take()?);
        let version_max = u16::from_be_bytes(bytes.take()?);
        let role = match u8::from_be_bytes(bytes.take()?) {
            0 => Role::Node,
            1 => Role::Client,
            _ => return Err(Refusal::NotOurs),
        };
        let flags = u8::from_be_bytes(bytes.take()?);
        Ok(Hello {
            version_min,
            version_max,
            role,
            knows_secret: flags & KNOWS_SECRET != 0,
            insists: flags & INSISTS != 0,
            cluster: bytes.take()?,
            number: NodeId(u32::from_be_bytes(bytes.take()?)),
            expects: Some(u32::from_be_bytes(bytes.take()?)).filter(|number| *number != NOBODY).map(NodeId),
            incarnation: u64::from_be_bytes(bytes.take()?),
            frame_bytes_max: u32::from_be_bytes(bytes.take()?),
            nonce: bytes.take()?,
        })
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.version_min.to_be_bytes());
        bytes.extend(self.version_max.to_be_bytes());
        bytes.push(match self.role {
            Role::Node => 0,
            Role::Client => 1,
        });
        bytes.push(if self.knows_secret { KNOWS_SECRET } else { 0 } | if self.insists { INSISTS } else { 0 });
        bytes.extend(self.cluster);
        bytes.extend(self.number.0.to_be_bytes());
        bytes.extend(self.expects.map_or(NOBODY, |number| number.0).to_be_bytes());
        bytes.extend(self.incarnation.to_be_bytes());
        bytes.extend(self.frame_bytes_max.to_be_bytes());
        bytes.extend(self.nonce);
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof")
            .field("generation", &self.generation)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// A body, read from its front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Refusal::NotOurs)?;
        self.0 = rest;
        Ok(*field)
    }
}
