//! That a side knows the secret, without telling it.

use super::message::Proof;
use crate::transport::Secret;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Who proves. The word goes into the proof, so that nobody's proof can be sent back to him.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) enum Side {
    Dialler,
    Acceptor,
}

/// Both hellos as they travelled: the dialler's, then the acceptor's. Each carries its own length.
#[derive(Clone, Copy)]
pub(in crate::transport) struct Hellos<'a> {
    pub dialler: &'a [u8],
    pub acceptor: &'a [u8],
}

/// Fills in the proof's hmac: zeros when there is no secret.
pub(in crate::transport) fn proof_of(
    secret: Option<&Secret>,
    side: Side,
    hellos: Hellos<'_>,
    mut proof: Proof,
) -> Proof {
    proof.hmac = match secret {
        Some(secret) => mac(secret, side, hellos, &proof).finalize().into_bytes().into(),
        None => [0; 32],
    };
    proof
}

/// Compares in constant time. Without a secret nothing is asked for; the hellos have made sure that neither side has one.
pub(super) fn holds(secret: Option<&Secret>, side: Side, hellos: Hellos<'_>, proof: &Proof) -> bool {
    secret.is_none_or(|secret| mac(secret, side, hellos, proof).verify_slice(&proof.hmac).is_ok())
}

fn mac(secret: &Secret, side: Side, hellos: Hellos<'_>, proof: &Proof) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes a key of any length");
    mac.update(match side {
        Side::Dialler => b"kafkalog dialler's proof 1\0",
        Side::Acceptor => b"kafkalog acceptor's proof 1",
    });
    mac.update(hellos.dialler);
    mac.update(hellos.acceptor);
    mac.update(&proof.generation.unwrap_or(0).to_be_bytes());
    mac.update(&proof.number.0.to_be_bytes());
    mac
}
