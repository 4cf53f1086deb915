//! `tls://`: the bytes of a socket under TLS 1.3, by rustls with ring's cryptography. Cargo feature `tls`; without it nobody can have keys,
//! and every room above reads as if they could.
//!
//! ```text
//!   reader thread    socket --> Incoming ==> +---------+ ==> plain bytes --> FrameReader
//!                                            | session |
//!   whoever writes   pieces of frames ======> +---------+ ==> Outgoing --> socket
//! ```
//!
//! A session of rustls is one object for both directions, so it has a lock (`==>`), which is held while bytes are opened or sealed and never
//! while a socket is waited for: a peer that takes nothing cannot keep us from reading, and the other way round. What is opened or sealed and
//! not yet passed on is bounded: a piece of each direction, [`SEALED_BYTES_MAX`].
//!
//! **Who is let in.** Both ends show a certificate, and both want the other's to be signed by an authority of `ssl.truststore.location` and to
//! be valid today. A node's certificate also has to name (subject alternative name: DNS or IP) the host of the address under which this side
//! knows that node: the dialler compares it with the address that it dials, the acceptor with the address of the node that the dialler says it
//! is. So nobody comes as a node that is known here with a certificate of somebody else. A node that is not known yet, a guest, is let in with
//! any certificate, and judged as soon as its address is known. A client's names are not looked at. The [`handshake`](super::handshake) with cluster,
//! numbers and secret comes after that, inside. There is no resumption, so that every connection is judged anew, and no list of revoked
//! certificates: let them expire soon, or change the authority.
//!
//! The end of a connection is not announced (`close_notify`): frames say how long they are, and a lost end of the stream is allowed.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod keys;
#[cfg(feature = "tls")]
mod session;
#[cfg(all(test, feature = "tls"))]
mod tests;
#[cfg(feature = "tls")]
mod words;

#[cfg(not(feature = "tls"))]
pub use absent::TlsKeys;
#[cfg(feature = "tls")]
pub use keys::TlsKeys;

#[cfg(not(feature = "tls"))]
pub(super) use absent::Tls;
#[cfg(feature = "tls")]
pub(super) use session::Tls;

use crate::config::SslConfig;
use crate::error::{Error, ErrorCode, Result};
use std::path::Path;

/// As many bytes of TLS's own as one side of a handshake may send; a chain of certificates has a few thousand.
pub(super) const TLS_HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// What a build without TLS answers.
pub(super) const NO_TLS: &str = "this build has no TLS; build kafkalog with its cargo feature `tls`";

/// The files of `ssl.*`: certificate (and key), key, authorities.
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
struct Files<'a> {
    keystore: &'a Path,
    key: Option<&'a Path>,
    truststore: &'a Path,
}

impl<'a> Files<'a> {
    /// `None` when none is named. INVALID_CONFIG when one is missing.
    fn of(config: &'a SslConfig) -> Result<Option<Files<'a>>> {
        match (config.keystore.as_deref(), config.key.as_deref(), config.truststore.as_deref()) {
            (None, None, None) => Ok(None),
            (Some(keystore), key, Some(truststore)) => Ok(Some(Files { keystore, key, truststore })),
            _ => Err(refused(
                "ssl.keystore.location and ssl.truststore.location go together, also where ssl.key.location is given: both ends of tls:// show \
                 a certificate, and both look at the other's",
            )),
        }
    }
}

fn refused(text: impl Into<String>) -> Error {
    Error::new(ErrorCode::INVALID_CONFIG, text)
}
