//! Connects to a host and waits for the greeting over a secured connection. Nothing but STARTTLS is sent before.

use super::gate::stream_fault;
use super::wire::Wire;
use crate::fetch::mailbox::connect::{dial, within};
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::{Mailbox, Security, tls};
use async_imap::{
    Client, error,
    imap_proto::{Response, Status},
};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::ClientConfig;

/// The largest literal when no mail is requested: folder names.
pub(super) const SMALL_LITERAL: u64 = 64 << 10;

/// Connects, secures the connection, and waits for the greeting.
pub(super) async fn connect(mailbox: &Mailbox, trust: &Arc<ClientConfig>) -> Result<Client<Wire>, ServerError> {
    let limit = mailbox.patience.connect;
    let socket = dial(mailbox, trust).await?;
    let mut client = Client::new(Wire::new(socket, SMALL_LITERAL, mailbox.patience.silence));
    within(limit, "waiting for the greeting", greeting(&mut client)).await?;
    if mailbox.security == Security::StartTls {
        client = start_tls(client, mailbox, trust).await?;
    }
    ensure_capabilities(&mut client, mailbox.patience.command).await?;
    Ok(client)
}

/// Waits for the greeting.
pub(super) async fn greeting(client: &mut Client<Wire>) -> Result<(), ServerError> {
    let doing = "waiting for the greeting";
    let response = client.read_response().await.map_err(|error| stream_fault(doing, &error))?;
    let Some(response) = response else {
        return Err(ServerError::lost(doing, "the server closed the connection"));
    };
    let Response::Data { status, outcome } = response.parsed() else {
        return Err(ServerError::lost(doing, "expected `* OK`, found something else"));
    };
    let words = outcome.information.as_deref().unwrap_or_default();
    match status {
        Status::Ok => Ok(()),
        // A login without our password is not ours; it would also be a way to skip STARTTLS.
        Status::PreAuth => Err(ServerError::settled("expected to have to log in, the server greets with PREAUTH")),
        _ => Err(ServerError::lost(doing, format_args!("the server hangs up: {words}"))),
    }
}

/// Everything sent and read before TLS is discarded with the old client.
async fn start_tls(
    mut client: Client<Wire>,
    mailbox: &Mailbox,
    trust: &Arc<ClientConfig>,
) -> Result<Client<Wire>, ServerError> {
    let patience = &mailbox.patience;
    ensure_capabilities(&mut client, patience.command).await?;
    if !offers(&client, "STARTTLS") {
        return Err(ServerError::hinted(
            format!("{} port {} offers no STARTTLS", mailbox.host, mailbox.port),
            "security = \"tls\", on port 993 as a rule, is the better way",
        ));
    }
    simple(&mut client, "STARTTLS", patience.command).await?;
    let socket = client.into_inner().into_socket();
    let secured =
        within(patience.connect, "TLS handshake", tls::handshake(socket, &mailbox.host, trust.clone())).await?;
    Ok(Client::new(Wire::new(secured, SMALL_LITERAL, patience.silence)))
}

/// Whether the server announces this capability.
pub(super) fn offers(client: &Client<Wire>, word: &str) -> bool {
    client.get_ref().gate().capabilities().is_some_and(|all| all.iter().any(|each| each == word))
}

/// Asks for the server's capabilities, unless it named them unasked.
async fn ensure_capabilities(client: &mut Client<Wire>, limit: Duration) -> Result<(), ServerError> {
    if client.get_ref().gate().capabilities().is_none() {
        simple(client, "CAPABILITY", limit).await?;
    }
    match client.get_ref().gate().capabilities() {
        Some(_) => Ok(()),
        None => Err(ServerError::lost("CAPABILITY", "expected the server's capabilities, found none")),
    }
}

async fn simple(client: &mut Client<Wire>, command: &str, limit: Duration) -> Result<(), ServerError> {
    let step = async {
        let done = client.run_command_and_check_ok(command, None).await;
        done.map_err(|error| client_fault(client, command, &error))
    };
    within(limit, command, step).await
}

/// Interprets a failed command of async-imap; the gate has the server's own words.
pub(super) fn client_fault(client: &Client<Wire>, doing: &str, error: &error::Error) -> ServerError {
    let gate = client.get_ref().gate();
    match error {
        error::Error::No(_) | error::Error::Bad(_) => {
            ServerError::Refused { what: doing.to_owned(), answer: gate.answer().to_owned() }
        }
        error::Error::Io(error) => stream_fault(doing, error),
        error::Error::ConnectionLost => gate.hung_up(doing),
        other => ServerError::lost(doing, other),
    }
}
