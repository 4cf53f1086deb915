//! The `ssl.*` settings: whose certificate this side shows, and which ones it believes.

use super::value::Value;
use std::path::PathBuf;

/// Where the certificates for `tls://` are. What is in the files is looked at when sockets are made of them
/// ([`TlsKeys::load`](crate::TlsKeys::load)).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SslConfig {
    /// `ssl.keystore.location`.
    pub keystore: Option<PathBuf>,
    /// `ssl.key.location`; `None`: the key is in the keystore.
    pub key: Option<PathBuf>,
    /// `ssl.truststore.location`.
    pub truststore: Option<PathBuf>,
    /// `ssl.endpoint.identification.algorithm`: false for `none`.
    pub checks_names: bool,
}

impl Default for SslConfig {
    /// No files; names are looked at.
    fn default() -> SslConfig {
        SslConfig { keystore: None, key: None, truststore: None, checks_names: true }
    }
}

impl SslConfig {
    /// Whether `name` is one of these settings; if so, `value` is what it is from now on.
    pub(super) fn apply(&mut self, name: &str, value: &Value) -> bool {
        let path = || Some(value.text()).filter(|text| !text.is_empty()).map(PathBuf::from);
        match name {
            "ssl.keystore.location" => self.keystore = path(),
            "ssl.key.location" => self.key = path(),
            "ssl.truststore.location" => self.truststore = path(),
            "ssl.endpoint.identification.algorithm" => self.checks_names = value.text() == "https",
            // One word is legal; it says what is done anyway.
            "ssl.keystore.type" | "ssl.truststore.type" | "ssl.client.auth" => {}
            _ => return false,
        }
        true
    }
}
