//! TLS: the platform's roots and one from the settings, names always verified, ring as the provider.
//!
//! Errors say what to do about the certificate.

use super::error::ServerError;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{io, path::Path, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsConnector,
    rustls::{CertificateError, ClientConfig, Error, RootCertStore, crypto::ring},
};

/// The trusted roots: the platform's (or Mozilla's if it has none) and those of `ca_file`.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    /// The platform's and the file's.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// The platform has none: Mozilla's list is used.
    pub(crate) mozilla: bool,
}

impl Roots {
    /// Reads them.
    pub(crate) fn load(ca_file: Option<&Path>) -> Result<Self, ServerError> {
        let mut certificates = rustls_native_certs::load_native_certs().certs;
        let mozilla = certificates.is_empty();
        if let Some(path) = ca_file {
            let wrong = |why: String| ServerError::settled(format!("ca_file {}: {why}", path.display()));
            let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let before = certificates.len();
            for each in CertificateDer::pem_slice_iter(&pem) {
                certificates.push(each.map_err(|error| wrong(format!("expected PEM certificates, found {error}")))?);
            }
            if certificates.len() == before {
                return Err(wrong("expected a PEM certificate, found none".to_owned()));
            }
        }
        Ok(Self { certificates, mozilla })
    }

    fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        // An odd certificate of the platform is no reason to trust none.
        store.add_parsable_certificates(self.certificates.iter().cloned());
        if self.mozilla {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        store
    }

    /// A configuration that trusts them.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, ServerError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ServerError::settled(format!("TLS: {error}")))?
            .with_root_certificates(self.store())
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// A configuration that trusts the platform's roots and one more.
pub(crate) fn trusted(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, ServerError> {
    Roots::load(ca_file)?.config()
}

/// The trusted roots, for servers of other protocols too.
///
/// # Errors
/// If `ca_file` cannot be read or holds no certificate.
pub(crate) fn trust(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    trusted(ca_file).map_err(|fault| fault.reason_and_hint().0)
}

/// Performs the handshake, and verifies that the certificate names the host.
pub(crate) async fn handshake(
    socket: Box<dyn Socket>,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<Box<dyn Socket>, ServerError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ServerError::settled(format!("host {host:?}: expected a host name or an address")))?;
    match TlsConnector::from(config).connect(name, socket).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(refused(host, &error)),
    }
}

fn refused(host: &str, error: &io::Error) -> ServerError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(why)) => {
            let hint = match why {
                CertificateError::UnknownIssuer => "set ca_file to a PEM file of the authority that signed it",
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "set host to a name in the certificate"
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "the server needs a new certificate; or this machine's clock is wrong"
                }
                _ => "the server needs another certificate",
            };
            ServerError::hinted(format!("the certificate of {host} is refused: {why}"), hint)
        }
        Some(why @ Error::InvalidMessage(_)) => ServerError::hinted(
            format!("expected TLS from {host}, found something else ({why})"),
            "security = \"starttls\" is for a port that begins in plain text",
        ),
        _ => ServerError::stream("TLS handshake", error),
    }
}

/// A plain or a TLS socket.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}
