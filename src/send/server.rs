//! A mail server, and how to log in to it.

use crate::fetch::mailbox::Security;
use secrecy::SecretString;
use std::path::PathBuf;
use std::time::Duration;

/// A server to submit mail to.
#[derive(Debug, Clone)]
pub struct Server {
    /// Name or address; with TLS the certificate must name it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
    /// One more trusted root, PEM.
    pub ca_file: Option<PathBuf>,
    /// How to log in, if the server requires it.
    pub login: Option<Login>,
    /// The name to greet with; `None` means the address that the connection comes from.
    pub hello: Option<String>,
    /// How long it may take for one step.
    pub patience: Duration,
}

/// How to log in to a server.
#[derive(Debug, Clone)]
pub struct Login {
    /// The account.
    pub user: String,
    /// Its password, or an access token for it.
    pub secret: SecretString,
    /// What the secret is.
    pub kind: LoginKind,
}

/// What the secret of a login is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginKind {
    /// A password, for SASL PLAIN or LOGIN.
    Password,
    /// An OAuth2 access token, for Google's and Microsoft's XOAUTH2.
    XOAuth2,
    /// An OAuth2 access token, for OAUTHBEARER (RFC 7628).
    OAuthBearer,
}
