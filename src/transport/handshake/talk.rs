//! The conversation itself, over anything that can be read and written.

use super::message::{Hello, Message, Proof, Refusal, Role, HEAD_BYTES, VERSIONS};
use super::proof::{holds, proof_of, Hellos, Side};
use crate::transport::{Secret, BOOTSTRAP_ID_MIN};
use crate::types::NodeId;
use std::fmt;
use std::io::{self, Read, Write};

/// What a client says that takes whichever cluster it finds.
const ANY_CLUSTER: [u8; 16] = [0; 16];

/// This side.
#[derive(Clone, Debug)]
pub(in crate::transport) struct Me {
    pub role: Role,
    pub number: NodeId,
    pub cluster: [u8; 16],
    pub secret: Option<Secret>,
    pub incarnation: u64,
    pub frame_bytes_max: u32,
}

/// What a finished handshake has settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) struct Agreed {
    /// The other side's number; a client's is the one that the acceptor gave it, that of whoever is at a bootstrap address the dialler's.
    pub peer: NodeId,
    pub role: Role,
    pub version: u16,
    /// The smaller one of both sides'.
    pub frame_bytes_max: u32,
    pub generation: u64,
    /// Of the side that chose the generation.
    pub chooser_incarnation: u64,
}

/// Why there is no connection.
#[derive(Debug)]
pub(in crate::transport) enum End {
    /// This side does not want the other, and told it so.
    Refused(Refusal),
    RefusedByPeer(Refusal),
    Io(io::Error),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Refused(refusal) => write!(f, "refused: {refusal}"),
            End::RefusedByPeer(refusal) => write!(f, "refused by the other side: {refusal}"),
            End::Io(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => f.write_str("the handshake took too long"),
                io::ErrorKind::UnexpectedEof => f.write_str("the other side ended the handshake"),
                _ => write!(f, "in the handshake: {error}"),
            },
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Io(error)
    }
}

/// Whom the dialler wants.
#[derive(Clone, Copy, Debug)]
pub(in crate::transport) struct Wanted {
    /// From [`BOOTSTRAP_ID_MIN`] on: any.
    pub node: NodeId,
    /// This side was told before that there is a connection, and has none.
    pub insists: bool,
}

impl Wanted {
    fn expects(self) -> Option<NodeId> {
        Some(self.node).filter(|node| *node < BOOTSTRAP_ID_MIN)
    }
}

/// The dialler's side. `is_needed` is asked before anything is proven, `choose` for a generation when this side chooses.
pub(in crate::transport) fn dial<S: Read + Write>(
    stream: &mut S,
    me: &Me,
    wanted: Wanted,
    is_needed: impl FnOnce() -> bool,
    choose: impl FnOnce() -> Option<u64>,
) -> Result<Agreed, End> {
    let own_bytes = say(stream, &Message::Hello(me.hello(Some(wanted))?))?;
    let (theirs, their_bytes) = hear_hello(stream)?;
    let judged = judge(me, &theirs).and_then(|version| {
        if theirs.role == Role::Node && wanted.expects().is_none_or(|node| node == theirs.number) {
            Ok(version)
        } else {
            Err(Refusal::OtherNode)
        }
    });
    let version = judged.or_else(|refusal| refuse(stream, refusal))?;
    if !is_needed() {
        return refuse(stream, Refusal::NotNeeded);
    }
    let hellos = Hellos { dialler: &own_bytes, acceptor: &their_bytes };
    let mine = Proof { hmac: [0; 32], generation: None, number: me.number };
    say(stream, &Message::Proof(proof_of(me.secret.as_ref(), Side::Dialler, hellos, mine)))?;
    let proof = hear_proof(stream)?;
    let i_choose = chooses(me.number, theirs.number);
    if !holds(me.secret.as_ref(), Side::Acceptor, hellos, &proof) {
        return refuse(stream, Refusal::WrongSecret);
    }
    let generation = match proof.generation {
        None if i_choose => match choose() {
            Some(generation) => generation,
            None => return refuse(stream, Refusal::NotNeeded),
        },
        Some(generation) if !i_choose => generation,
        _ => return refuse(stream, Refusal::NotOurs),
    };
    say(stream, &Message::Ready { generation })?;
    Ok(Agreed {
        peer: wanted.node,
        role: Role::Node,
        version,
        frame_bytes_max: me.frame_bytes_max.min(theirs.frame_bytes_max),
        generation,
        chooser_incarnation: if i_choose { me.incarnation } else { theirs.incarnation },
    })
}

/// The acceptor's side. `number_for` says under which number the other side may come in; `admit` is asked once it has proven itself, and
/// answers the generation if it is this side that chooses (the flag).
pub(in crate::transport) fn accept<S: Read + Write>(
    stream: &mut S,
    me: &Me,
    number_for: impl FnOnce(&Hello) -> Result<NodeId, Refusal>,
    admit: impl FnOnce(NodeId, &Hello, bool) -> Result<Option<u64>, Refusal>,
) -> Result<Agreed, End> {
    let (theirs, their_bytes) = hear_hello(stream)?;
    let judged = judge(me, &theirs).and_then(|version| {
        let is_for_anybody = theirs.expects.is_none() && theirs.role == Role::Client;
        let is_for_me = is_for_anybody || theirs.expects == Some(me.number);
        let number = if is_for_me { number_for(&theirs)? } else { return Err(Refusal::OtherNode) };
        Ok((version, number))
    });
    let (version, peer) = judged.or_else(|refusal| refuse(stream, refusal))?;
    let own_bytes = say(stream, &Message::Hello(me.hello(None)?))?;
    let proof = hear_proof(stream)?;
    let hellos = Hellos { dialler: &their_bytes, acceptor: &own_bytes };
    if !holds(me.secret.as_ref(), Side::Dialler, hellos, &proof) {
        return refuse(stream, Refusal::WrongSecret);
    }
    let i_choose = chooses(me.number, peer);
    let generation = admit(peer, &theirs, i_choose).or_else(|refusal| refuse(stream, refusal))?;
    let mine = Proof { hmac: [0; 32], generation, number: peer };
    say(stream, &Message::Proof(proof_of(me.secret.as_ref(), Side::Acceptor, hellos, mine.clone())))?;
    let generation = match (hear(stream)?.0, mine.generation) {
        (Message::Ready { generation }, None) => generation,
        (Message::Ready { generation }, Some(chosen)) if chosen == generation => generation,
        (Message::Refused(refusal), _) => return Err(End::RefusedByPeer(refusal)),
        _ => return refuse(stream, Refusal::NotOurs),
    };
    Ok(Agreed {
        peer,
        role: theirs.role,
        version,
        frame_bytes_max: me.frame_bytes_max.min(theirs.frame_bytes_max),
        generation,
        chooser_incarnation: if i_choose { me.incarnation } else { theirs.incarnation },
    })
}

impl Me {
    fn hello(&self, wanted: Option<Wanted>) -> Result<Hello, End> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|e| io::Error::other(e.to_string()))?;
        Ok(Hello {
            version_min: *VERSIONS.start(),
            version_max: *VERSIONS.end(),
            role: self.role,
            knows_secret: self.secret.is_some(),
            insists: wanted.is_some_and(|wanted| wanted.insists),
            cluster: self.cluster,
            number: self.number,
            expects: wanted.and_then(Wanted::expects),
            incarnation: self.incarnation,
            frame_bytes_max: self.frame_bytes_max,
            nonce,
        })
    }
}

fn chooses(me: NodeId, other: NodeId) -> bool {
    me < other
}

/// What can be said of a hello without knowing more than oneself. The version to speak, if all is well.
fn judge(me: &Me, theirs: &Hello) -> Result<u16, Refusal> {
    let version = theirs.version_max.min(*VERSIONS.end());
    if version < theirs.version_min || !VERSIONS.contains(&version) {
        return Err(Refusal::Version);
    }
    if !may_be_the_same_cluster(me, theirs) {
        return Err(Refusal::Cluster);
    }
    if theirs.role == Role::Node && theirs.number == me.number {
        return Err(Refusal::OwnNumber);
    }
    if theirs.knows_secret != me.secret.is_some() {
        return Err(Refusal::SecretMissing);
    }
    Ok(version)
}

/// A client need not know the name of the cluster that it looks for.
fn may_be_the_same_cluster(me: &Me, theirs: &Hello) -> bool {
    let is_any = |role: Role, cluster: [u8; 16]| role == Role::Client && cluster == ANY_CLUSTER;
    theirs.cluster == me.cluster || is_any(me.role, me.cluster) || is_any(theirs.role, theirs.cluster)
}

fn say(stream: &mut impl Write, message: &Message) -> Result<Vec<u8>, End> {
    let bytes = message.encode();
    stream.write_all(&bytes)?;
    Ok(bytes)
}

/// Tells the other side why, and gives up.
fn refuse<T>(stream: &mut impl Write, refusal: Refusal) -> Result<T, End> {
    // Whether it hears it or not: it is not let in.
    let _ = say(stream, &Message::Refused(refusal));
    Err(End::Refused(refusal))
}

/// The next message and its bytes; reads not one byte more. What is no message is told so.
fn hear<S: Read + Write>(stream: &mut S) -> Result<(Message, Vec<u8>), End> {
    let mut head = [0; HEAD_BYTES];
    stream.read_exact(&mut head)?;
    let (kind, length) = Message::parse_head(&head).or_else(|refusal| refuse(stream, refusal))?;
    let mut bytes = head.to_vec();
    bytes.resize(HEAD_BYTES + length, 0);
    stream.read_exact(&mut bytes[HEAD_BYTES..])?;
    let message = Message::parse_body(kind, &bytes[HEAD_BYTES..]).or_else(|refusal| refuse(stream, refusal))?;
    Ok((message, bytes))
}

fn hear_hello<S: Read + Write>(stream: &mut S) -> Result<(Hello, Vec<u8>), End> {
    match hear(stream)? {
        (Message::Hello(hello), bytes) => Ok((hello, bytes)),
        (Message::Refused(refusal), _) => Err(End::RefusedByPeer(refusal)),
        _ => refuse(stream, Refusal::NotOurs),
    }
}

fn hear_proof<S: Read + Write>(stream: &mut S) -> Result<Proof, End> {
    match hear(stream)?.0 {
        Message::Proof(proof) => Ok(proof),
        Message::Refused(refusal) => Err(End::RefusedByPeer(refusal)),
        _ => refuse(stream, Refusal::NotOurs),
    }
}
