//! Connects to a server within a time limit, and interprets a refused login.

use super::account::{Auth, Mailbox, Security};
use super::error::ServerError;
use super::tls::{self, Socket};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::rustls::ClientConfig;

/// A refused login that needs a person.
pub(crate) fn refusal(mailbox: &Mailbox, answer: &str, complaint: Option<&str>) -> ServerError {
    let said = complaint.filter(|text| !text.is_empty()).map(|text| format!(", and said {text}")).unwrap_or_default();
    let hint = match &mailbox.auth {
        Auth::Password(_) => {
            "check user and password; many providers want an app password or OAuth2 instead".to_owned()
        }
        Auth::XOAuth2(_) | Auth::OAuthBearer(_) => {
            let protocol = mailbox.protocol.as_str();
            format!(
                "the token is not valid for this mailbox: expired, for another user, or without the scope for {protocol}"
            )
        }
    };
    ServerError::hinted(format!("login as {} is refused: the server answered {answer}{said}", mailbox.user), hint)
}

/// The server does not offer the mechanism that the settings ask for.
pub(crate) fn not_offered(mechanism: &str, offered: &[&str]) -> ServerError {
    let found = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
    ServerError::settled(format!("expected the login mechanism {mechanism}, the server offers {found}"))
}

/// Limits the time of a step.
pub(crate) async fn within<T>(
    limit: Duration,
    doing: &str,
    step: impl Future<Output = Result<T, ServerError>>,
) -> Result<T, ServerError> {
    match time::timeout(limit, step).await {
        Ok(result) => result,
        Err(_) => Err(ServerError::lost(doing, format_args!("no answer in {limit:?}"))),
    }
}

/// A connection, with TLS if that comes first.
pub(crate) async fn dial(mailbox: &Mailbox, trust: &Arc<ClientConfig>) -> Result<Box<dyn Socket>, ServerError> {
    let limit = mailbox.patience.connect;
    let host = mailbox.host.as_str();
    let doing = format!("connecting to {host} port {}", mailbox.port);
    let socket = within(limit, &doing, async { tcp(mailbox, &doing).await }).await?;
    if mailbox.security == Security::Tls {
        return within(limit, "TLS handshake", tls::handshake(socket, host, trust.clone())).await;
    }
    Ok(socket)
}

async fn tcp(mailbox: &Mailbox, doing: &str) -> Result<Box<dyn Socket>, ServerError> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((mailbox.host.as_str(), mailbox.port))
        .await
        .map_err(|error| ServerError::lost(doing, format_args!("the host name cannot be looked up: {error}")))?
        .collect();
    if mailbox.security == Security::None && !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(ServerError::hinted(
            format!("security = \"none\" is only for a loopback address, found {}", mailbox.host),
            "use \"tls\" or \"starttls\"",
        ));
    }
    let stream = TcpStream::connect(&addresses[..]).await.map_err(|error| ServerError::lost(doing, error))?;
    // Commands are small, and each waits for an answer.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}
