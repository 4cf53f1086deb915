//! What there is in a build without TLS: no keys, and so no sessions.

use super::{refused, Files, NO_TLS};
use crate::config::SslConfig;
use crate::error::Result;
use std::convert::Infallible;
use std::io::{self, IoSlice, Read, Write};

/// Certificate, key and authorities for `tls://`. In a build without the cargo feature `tls` nobody can have them.
#[derive(Clone, Debug)]
pub struct TlsKeys(Infallible);

impl TlsKeys {
    /// `None` when no setting names a file.
    ///
    /// # Errors
    /// INVALID_CONFIG when one does: it would have no effect.
    pub fn load(config: &SslConfig) -> Result<Option<TlsKeys>> {
        match Files::of(config)? {
            None => Ok(None),
            Some(_) => Err(refused(format!("ssl.keystore.location: {NO_TLS}"))),
        }
    }

    pub(in crate::transport) fn dialling(&self, _host: &str) -> io::Result<Tls> {
        match self.0 {}
    }

    pub(in crate::transport) fn listening(&self) -> io::Result<Tls> {
        match self.0 {}
    }
}

pub(in crate::transport) struct Tls(Infallible);

impl Tls {
    pub fn shake_hands(&self, _raw: &mut (impl Read + Write)) -> io::Result<()> {
        match self.0 {}
    }

    pub fn names(&self, _host: Option<&str>) -> bool {
        match self.0 {}
    }

    pub fn read(&self, _into: &mut [u8], _more: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        match self.0 {}
    }

    pub fn write(&self, _pieces: &[IoSlice<'_>], _send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
        match self.0 {}
    }

    pub fn last_words(&self, _more: impl FnMut(&mut [u8]) -> io::Result<usize>) -> Option<io::Error> {
        match self.0 {}
    }
}
