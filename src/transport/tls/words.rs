//! What TLS refuses, in sentences that say whose fault it is; and the one judgement that can be left out.

use crate::error::Error;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, DigitallySignedStruct, SignatureScheme};
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// INVALID_CONFIG about the file that a setting names.
pub(super) fn of_file(setting: &str, path: &Path, what: &(impl Display + ?Sized)) -> Error {
    super::refused(format!("{setting}={}: {what}", path.display()))
}

/// Why a session ended.
pub(super) fn of_session(error: rustls::Error) -> io::Error {
    let text = match &error {
        rustls::Error::NoCertificatesPresented => "refused: the other side shows no certificate".to_owned(),
        rustls::Error::InvalidCertificate(fault) => format!("refused: {}", of_certificate(fault)),
        rustls::Error::AlertReceived(alert) => format!("refused by the other side: {}", of_alert(*alert)),
        rustls::Error::InvalidMessage(_) => {
            format!("these bytes are no TLS; an address of the other kind, tcp://, may be what is meant ({error})")
        }
        _ => error.to_string(),
    };
    io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {text}"))
}

fn of_certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::UnknownIssuer => {
            "the other side's certificate is not signed by an authority of ssl.truststore.location".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the other side's certificate has expired ({fault})")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the other side's certificate is not valid yet ({fault})")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the other side's certificate names another host ({fault})")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!(
                "the other side's certificate may not be used for this (serverAuth and clientAuth are needed; {fault})"
            )
        }
        _ => format!("the other side's certificate: {fault}"),
    }
}

fn of_alert(alert: AlertDescription) -> String {
    let what = match alert {
        AlertDescription::CertificateRequired => "it wants a certificate",
        AlertDescription::UnknownCA => "it does not know the authority of this side's certificate",
        AlertDescription::CertificateExpired => "it says that this side's certificate has expired, or is not valid yet",
        AlertDescription::UnsupportedCertificate => "it says that this side's certificate may not be used for this",
        AlertDescription::BadCertificate => "it does not accept this side's certificate, or the name in it",
        AlertDescription::ProtocolVersion => "it does not speak TLS 1.3",
        _ => "it has ended the session",
    };
    format!("{what} (alert {alert:?})")
}

/// Everything is judged but the name (`ssl.endpoint.identification.algorithm=none`).
#[derive(Debug)]
pub(super) struct AnyName(pub Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self.0.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        match judged {
            // The name comes last: whoever gets there has passed everything else.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
