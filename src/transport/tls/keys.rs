//! Certificate, key and authorities: from PEM files to what sessions are made of.

use super::session::Tls;
use super::words::{of_file, AnyName};
use super::{refused, Files};
use crate::config::SslConfig;
use crate::error::Result;
use crate::time::{Clock, SystemClock};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A PEM file is not read past here.
const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Certificate, key and authorities for `tls://`, as they were when they were loaded: new files count from the next opening on.
/// Clones are the same keys. Nothing of them is ever shown.
#[derive(Clone)]
pub struct TlsKeys {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    checks_names: bool,
}

impl TlsKeys {
    /// Reads the files; `None` when no setting names one.
    ///
    /// # Errors
    /// INVALID_CONFIG for a file that cannot be read or is not what it should be, and for a certificate without authorities or the other
    /// way round; the text names the setting and the file.
    pub fn load(config: &SslConfig) -> Result<Option<TlsKeys>> {
        Files::of(config)?.map(|files| TlsKeys::read(&files, config.checks_names)).transpose()
    }

    fn read(files: &Files<'_>, checks_names: bool) -> Result<TlsKeys> {
        let chain = certificates("ssl.keystore.location", files.keystore)?;
        let key = match files.key {
            Some(path) => private_key("ssl.key.location", path)?,
            None => private_key("ssl.keystore.location", files.keystore)?,
        };
        let mut authorities = RootCertStore::empty();
        for certificate in certificates("ssl.truststore.location", files.truststore)? {
            let added = authorities.add(certificate);
            added.map_err(|e| of_file("ssl.truststore.location", files.truststore, &e))?;
        }
        let (authorities, provider) = (Arc::new(authorities), Arc::new(ring::default_provider()));
        let own = |error: &dyn fmt::Display| of_file("ssl.keystore.location", files.keystore, error);
        let trusted = |error: &dyn fmt::Display| of_file("ssl.truststore.location", files.truststore, error);

        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&authorities), Arc::clone(&provider));
        let mut server = ServerConfig::builder_with_details(Arc::clone(&provider), the_time())
            .with_protocol_versions(&[&TLS13])
            .map_err(|e| own(&e))?
            .with_client_cert_verifier(clients.build().map_err(|e| trusted(&e))?)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(|e| own(&e))?;
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});

        let mut client = ClientConfig::builder_with_details(Arc::clone(&provider), the_time())
            .with_protocol_versions(&[&TLS13])
            .map_err(|e| own(&e))?
            .dangerous()
            .with_custom_certificate_verifier(verifier(authorities, provider, checks_names).map_err(|e| trusted(&e))?)
            .with_client_auth_cert(chain, key)
            .map_err(|e| own(&e))?;
        client.resumption = Resumption::disabled();
        Ok(TlsKeys { client: Arc::new(client), server: Arc::new(server), checks_names })
    }

    /// The dialler's side of a session with whoever is at `host`.
    pub(in crate::transport) fn dialling(&self, host: &str) -> io::Result<Tls> {
        let name = server_name(host)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("no certificate can name {host}")))?;
        let session = ClientConnection::new(Arc::clone(&self.client), name).map_err(io::Error::other)?;
        Ok(Tls::new(session.into(), self.checks_names))
    }

    /// The acceptor's side of a session.
    pub(in crate::transport) fn listening(&self) -> io::Result<Tls> {
        let session = ServerConnection::new(Arc::clone(&self.server)).map_err(io::Error::other)?;
        Ok(Tls::new(session.into(), self.checks_names))
    }
}

/// A host as certificates name it.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}

fn verifier(
    authorities: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    checks_names: bool,
) -> std::result::Result<Arc<dyn ServerCertVerifier>, rustls::server::VerifierBuilderError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(authorities, provider).build()?;
    Ok(if checks_names { verifier } else { Arc::new(AnyName(verifier)) })
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(setting, path)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<std::result::Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(of_file(setting, path, &"there is no certificate in it (PEM, -----BEGIN CERTIFICATE-----)")),
        Err(error) => Err(of_file(setting, path, &error)),
    }
}

fn private_key(setting: &str, path: &Path) -> Result<PrivateKeyDer<'static>> {
    let text = read(setting, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        if text.windows(b"ENCRYPTED".len()).any(|word| word == b"ENCRYPTED") {
            return of_file(
                setting,
                path,
                &"its private key needs a password; a key without one is wanted (openssl pkey)",
            );
        }
        match error {
            rustls::pki_types::pem::Error::NoItemsFound => {
                of_file(setting, path, &"there is no private key in it; ssl.key.location may name another file")
            }
            error => of_file(setting, path, &error),
        }
    })
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let count = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX + 1).read_to_end(&mut text));
    match count {
        Ok(count) if count as u64 <= PEM_BYTES_MAX => Ok(text),
        Ok(_) => Err(refused(format!("{setting}={}: more than {PEM_BYTES_MAX} bytes", path.display()))),
        Err(error) => Err(of_file(setting, path, &error)),
    }
}

/// What time it is, where this program asks for it.
#[derive(Debug)]
struct Wall(SystemClock);

fn the_time() -> Arc<dyn TimeProvider> {
    Arc::new(Wall(SystemClock::new()))
}

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        let since_1970 = Duration::from_millis(u64::try_from(self.0.realtime().0).ok()?);
        Some(UnixTime::since_unix_epoch(since_1970))
    }
}

impl fmt::Debug for TlsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsKeys").field("checks_names", &self.checks_names).finish_non_exhaustive()
    }
}
