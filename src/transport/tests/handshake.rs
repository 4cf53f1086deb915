//! The conversation, over a pair of connected Unix sockets without any transport.

use super::PATIENCE;
use crate::transport::handshake::{accept, dial, Agreed, End, Hello, Me, Message, Proof, Refusal, Role, Wanted};
use crate::transport::{Secret, BOOTSTRAP_ID_MIN, CLIENT_ID_MIN};
use crate::types::NodeId;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

fn me(number: u32, secret: Option<&str>) -> Me {
    Me {
        role: if number < CLIENT_ID_MIN.0 { Role::Node } else { Role::Client },
        number: NodeId(number),
        cluster: [7; 16],
        secret: secret.map(|secret| Secret::new(secret.as_bytes())),
        incarnation: u64::from(number) * 1000,
        frame_bytes_max: 1000 + number % 1000,
    }
}

/// Writes down what is said and heard.
struct Tapped<S>(S, Vec<u8>, Vec<u8>);

impl<S: Read> Read for Tapped<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(into)?;
        self.2.extend(&into[..count]);
        Ok(count)
    }
}

impl<S: Write> Write for Tapped<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.extend(&bytes[..count]);
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Two ends, of which neither waits for ever.
fn sockets() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    for end in [&near, &far] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
        end.set_write_timeout(Some(PATIENCE)).unwrap();
    }
    (near, far)
}

type Outcome = Result<Agreed, End>;

/// The dialler expects node `expects`; the acceptor lets everybody in, clients as the second one. Also what the dialler said.
fn meet(dialler: Me, acceptor: Me, expects: u32) -> (Outcome, Outcome, Vec<u8>) {
    let (near, mut far) = sockets();
    let listening = thread::spawn(move || {
        let number_for = |hello: &Hello| match hello.role {
            Role::Node => Ok(hello.number),
            Role::Client => Ok(NodeId(CLIENT_ID_MIN.0 + 1)),
        };
        accept(&mut far, &acceptor, number_for, |_, _, i_choose| Ok(i_choose.then_some(77)))
    });
    let mut near = Tapped(near, Vec::new(), Vec::new());
    let dialled = dial(&mut near, &dialler, Wanted { node: NodeId(expects), insists: false }, || true, || Some(55));
    let said = near.1;
    drop(near.0);
    (dialled, listening.join().unwrap(), said)
}

#[test]
fn both_sides_agree_and_the_smaller_number_chooses_the_generation() {
    for secret in [None, Some("open sesame")] {
        let (dialled, accepted, _) = meet(me(1, secret), me(2, secret), 2);
        let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
        assert_eq!((dialled.peer, accepted.peer), (NodeId(2), NodeId(1)));
        assert_eq!((dialled.generation, accepted.generation), (55, 55));
        assert_eq!((dialled.chooser_incarnation, accepted.chooser_incarnation), (1000, 1000));
        assert_eq!((dialled.frame_bytes_max, accepted.frame_bytes_max), (1001, 1001));
        assert_eq!((dialled.version, accepted.version), (1, 1));

        let (dialled, accepted, _) = meet(me(2, secret), me(1, secret), 1);
        let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
        assert_eq!((dialled.generation, accepted.generation), (77, 77));
        assert_eq!((dialled.chooser_incarnation, accepted.chooser_incarnation), (1000, 1000));
    }
}

#[test]
fn a_client_is_given_a_number() {
    let (dialled, accepted, _) = meet(me(CLIENT_ID_MIN.0, None), me(2, None), 2);
    assert_eq!(dialled.unwrap().peer, NodeId(2));
    let accepted = accepted.unwrap();
    assert_eq!((accepted.peer, accepted.role), (NodeId(CLIENT_ID_MIN.0 + 1), Role::Client));
}

#[test]
fn a_client_takes_whichever_cluster_it_finds_and_a_node_does_not() {
    let anywhere = |number| Me { cluster: [0; 16], ..me(number, Some("a")) };
    let (dialled, accepted, _) = meet(anywhere(CLIENT_ID_MIN.0), me(2, Some("a")), 2);
    assert_eq!((dialled.unwrap().peer, accepted.unwrap().role), (NodeId(2), Role::Client));
    refused(meet(anywhere(1), me(2, Some("a")), 2), false, Refusal::Cluster);
    refused(meet(me(1, Some("a")), anywhere(2), 2), false, Refusal::Cluster);
    refused(meet(me(CLIENT_ID_MIN.0, Some("a")), anywhere(2), 2), false, Refusal::Cluster);
    let stranger = Me { cluster: [0; 16], ..me(CLIENT_ID_MIN.0, Some("b")) };
    refused(meet(stranger, me(2, Some("a")), 2), false, Refusal::WrongSecret);
}

#[track_caller]
fn refused((dialled, accepted, _): (Outcome, Outcome, Vec<u8>), by_dialler: bool, why: Refusal) {
    let (dialled, accepted) = (dialled.unwrap_err(), accepted.unwrap_err());
    let (refusing, hearing) = if by_dialler { (dialled, accepted) } else { (accepted, dialled) };
    assert!(matches!(refusing, End::Refused(said) if said == why), "{refusing}");
    assert!(matches!(hearing, End::RefusedByPeer(heard) if heard == why), "{hearing}");
}

#[test]
fn every_stranger_hears_why_it_is_not_let_in() {
    refused(meet(me(1, None), Me { cluster: [8; 16], ..me(2, None) }, 2), false, Refusal::Cluster);
    refused(meet(me(1, None), me(2, None), 3), false, Refusal::OtherNode);
    refused(meet(me(2, None), me(2, None), 2), false, Refusal::OwnNumber);
    refused(meet(me(1, Some("a")), me(2, None), 2), false, Refusal::SecretMissing);
    refused(meet(me(1, None), me(2, Some("a")), 2), false, Refusal::SecretMissing);
    refused(meet(me(1, Some("b")), me(2, Some("a")), 2), false, Refusal::WrongSecret);
}

fn hello() -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        role: Role::Node,
        knows_secret: true,
        insists: true,
        cluster: [7; 16],
        number: NodeId(2),
        expects: Some(NodeId(1)),
        incarnation: 3,
        frame_bytes_max: 4,
        nonce: [5; 32],
    }
}

fn samples() -> Vec<Message> {
    vec![
        Message::Hello(hello()),
        Message::Hello(Hello { role: Role::Client, expects: None, knows_secret: false, ..hello() }),
        Message::Proof(Proof { hmac: [6; 32], generation: None, number: NodeId(9) }),
        Message::Proof(Proof { hmac: [6; 32], generation: Some(8), number: NodeId(9) }),
        Message::Ready { generation: 10 },
        Message::Refused(Refusal::Cluster),
    ]
}

#[test]
fn messages_come_out_as_they_went_in_and_a_part_of_one_is_none() {
    for message in samples() {
        let bytes = message.encode();
        assert_eq!(Message::parse(&bytes), Ok(Some((message.clone(), bytes.len()))));
        for cut in 0..bytes.len() {
            assert_eq!(Message::parse(&bytes[..cut]), Ok(None), "{message:?} cut at {cut}");
        }
    }
    assert_eq!(Message::parse(b"GET / HTTP/1.1\r\n"), Err(Refusal::NotOurs));
}

#[test]
fn a_newer_version_is_understood_as_far_as_it_goes_back() {
    let answer_to = |version_min, version_max| {
        let (mut near, mut far) = sockets();
        let mut bytes = Message::Hello(Hello { version_min, version_max, knows_secret: false, ..hello() }).encode();
        // It has a field more.
        bytes.push(99);
        let length = u16::from_be_bytes([bytes[5], bytes[6]]) + 1;
        bytes[5..7].copy_from_slice(&length.to_be_bytes());
        near.write_all(&bytes).unwrap();
        near.shutdown(std::net::Shutdown::Write).unwrap();
        let outcome =
            accept(&mut far, &me(1, None), |hello| Ok(hello.number), |_, _, i_choose| Ok(i_choose.then_some(1)));
        drop(far);
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).unwrap();
        (outcome.unwrap_err(), Message::parse(&answer).unwrap().unwrap().0)
    };
    assert!(matches!(answer_to(1, 5), (End::Io(_), Message::Hello(_))));
    for (min, max) in [(2, 5), (0, 0), (5, 1)] {
        let (end, answer) = answer_to(min, max);
        assert_eq!(answer, Message::Refused(Refusal::Version), "{min}..{max}");
        assert!(matches!(end, End::Refused(Refusal::Version)));
    }
}

#[test]
fn a_dialler_finds_out_an_acceptor_that_does_not_know_the_secret() {
    // It says whatever it has overheard or made up, and echoes the dialler's own proof.
    let (mut near, mut far) = sockets();
    let impostor = thread::spawn(move || {
        let mut bytes = [0; 512];
        let _hello = far.read(&mut bytes).unwrap();
        let own = Hello { number: NodeId(2), expects: None, ..hello() };
        far.write_all(&Message::Hello(own).encode()).unwrap();
        let count = far.read(&mut bytes).unwrap();
        let Message::Proof(proof) = Message::parse(&bytes[..count]).unwrap().unwrap().0 else { panic!("no proof") };
        assert_ne!(proof.hmac, [0; 32]);
        far.write_all(&Message::Proof(proof).encode()).unwrap();
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, Message::Refused(Refusal::WrongSecret).encode(), "nothing but the refusal");
    });
    let end = dial(&mut near, &me(1, Some("a")), Wanted { node: NodeId(2), insists: false }, || true, || Some(1))
        .unwrap_err();
    assert!(matches!(end, End::Refused(Refusal::WrongSecret)), "{end}");
    drop(near);
    impostor.join().unwrap();
}

#[test]
fn a_handshake_that_was_overheard_is_worth_nothing_the_second_time() {
    let (dialled, _, said) = meet(me(1, Some("a")), me(2, Some("a")), 2);
    dialled.unwrap();
    let (mut near, mut far) = sockets();
    near.write_all(&said).unwrap();
    let end = accept(&mut far, &me(2, Some("a")), |hello| Ok(hello.number), |_, _, i_choose| Ok(i_choose.then_some(1)))
        .unwrap_err();
    assert!(matches!(end, End::Refused(Refusal::WrongSecret)), "{end}");
}

#[test]
fn a_changed_bit_anywhere_in_what_the_dialler_says_keeps_it_out() {
    let (_, _, said) = meet(me(1, Some("a")), me(2, Some("a")), 2);
    // Hello and proof; the bits of `ready` behind them are not proven, only compared.
    let hello_and_proof = said.len() - Message::Ready { generation: 1 }.encode().len();
    for bit in 0..hello_and_proof * 8 {
        let mut changed = said.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let (mut near, mut far) = sockets();
        near.write_all(&changed).unwrap();
        near.shutdown(std::net::Shutdown::Write).unwrap();
        let outcome =
            accept(&mut far, &me(2, Some("a")), |hello| Ok(hello.number), |_, _, i_choose| Ok(i_choose.then_some(1)));
        assert!(outcome.is_err(), "bit {bit}");
    }
}

#[test]
fn nobody_can_read_the_secret_in_what_is_shown() {
    let shown = format!("{:?} {:#?}", me(1, Some("open sesame")), Secret::new(b"open sesame"));
    assert!(!shown.contains("sesame") && !shown.contains("111, 112, 101"), "{shown}");
}

#[test]
fn whoever_finds_out_that_there_is_a_connection_says_so() {
    for (dialler, acceptor, needed) in [(1, 2, false), (1, 2, true), (2, 1, true)] {
        let (mut near, mut far) = sockets();
        let listening = thread::spawn(move || {
            accept(
                &mut far,
                &me(acceptor, None),
                |hello| Ok(hello.number),
                |_, _, i_choose| if i_choose { Err(Refusal::NotNeeded) } else { Ok(None) },
            )
        });
        let wanted = Wanted { node: NodeId(acceptor), insists: false };
        let dialled = dial(&mut near, &me(dialler, None), wanted, || needed, || None).unwrap_err();
        drop(near);
        let accepted = listening.join().unwrap().unwrap_err();
        for end in [dialled, accepted] {
            assert!(matches!(end, End::Refused(Refusal::NotNeeded) | End::RefusedByPeer(Refusal::NotNeeded)), "{end}");
        }
    }
}

#[test]
fn only_a_client_may_come_without_knowing_whom_it_wants() {
    let anybody = BOOTSTRAP_ID_MIN.0;
    let (dialled, accepted, _) = meet(me(CLIENT_ID_MIN.0, None), me(2, None), anybody);
    assert_eq!(dialled.unwrap().peer, BOOTSTRAP_ID_MIN);
    assert_eq!(accepted.unwrap().peer, NodeId(CLIENT_ID_MIN.0 + 1));
    refused(meet(me(1, None), me(2, None), anybody), false, Refusal::OtherNode);
}
