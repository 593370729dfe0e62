//! Opens a logged-in session: greeting, CAPA, STLS, then AUTH or USER and PASS.
//!
//! No secret is sent before TLS, and nothing received before TLS is used after it.

use super::stream::{LineStream, Pop3Status};
use crate::fetch::mailbox::connect::{dial, not_offered, refusal, within};
use crate::fetch::mailbox::error::{ServerError, wait_in};
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::{Auth, Mailbox, Security, sasl, tls};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use tokio_rustls::rustls::ClientConfig;

/// Lines of CAPA that are read.
const CAPABILITIES: usize = 200;

/// The answer to CAPA, in upper case; `None` if the server does not support it.
type Capabilities = Option<Vec<String>>;

/// Connect, secure, log in.
pub(super) async fn open(
    mailbox: &Mailbox,
    trust: &Arc<ClientConfig>,
    tokens: &mut TokenCache,
) -> Result<LineStream, ServerError> {
    match enter(mailbox, trust, tokens).await {
        // The token expired early: request another, once.
        Err(ServerError::Settled { .. }) if tokens.forget() => enter(mailbox, trust, tokens).await,
        other => other,
    }
}

async fn enter(
    mailbox: &Mailbox,
    trust: &Arc<ClientConfig>,
    tokens: &mut TokenCache,
) -> Result<LineStream, ServerError> {
    let patience = &mailbox.patience;
    let mut stream = LineStream::new(dial(mailbox, trust).await?, patience.clone());
    let doing = "waiting for the greeting";
    let greeting = within(patience.connect, doing, stream.status(doing)).await?;
    greeting.text(doing)?.map_err(|answer| refused("the connection", &answer))?;
    let mut capabilities = ask_capabilities(&mut stream).await?;
    if mailbox.security == Security::StartTls {
        stream = start_tls(stream, capabilities.as_deref(), mailbox, trust).await?;
        capabilities = ask_capabilities(&mut stream).await?;
    }
    log_in(&mut stream, mailbox, tokens, capabilities.as_deref()).await?;
    Ok(stream)
}

async fn ask_capabilities(stream: &mut LineStream) -> Result<Capabilities, ServerError> {
    if stream.ask("CAPA", "CAPA").await?.is_err() {
        return Ok(None);
    }
    let mut all = Vec::new();
    let take = |line: &[u8]| {
        all.push(String::from_utf8_lossy(line).trim().to_ascii_uppercase());
        all.len() < CAPABILITIES
    };
    stream.lines("CAPA", take).await?;
    Ok(Some(all))
}

async fn start_tls(
    mut stream: LineStream,
    capabilities: Option<&[String]>,
    mailbox: &Mailbox,
    trust: &Arc<ClientConfig>,
) -> Result<LineStream, ServerError> {
    let without = |why: &str| {
        ServerError::hinted(
            format!("{} port {} offers no TLS by STLS{why}", mailbox.host, mailbox.port),
            "security = \"tls\", on port 995 as a rule, is the better way",
        )
    };
    if capabilities.is_some_and(|all| all.iter().all(|line| line != "STLS")) {
        return Err(without(""));
    }
    let answer = stream.ask("STLS", "STLS").await?;
    answer.map_err(|answer| without(&format!(": it answered -ERR {answer}")))?;
    let Some(socket) = stream.into_socket() else {
        return Err(ServerError::settled(
            "STLS: expected TLS, found an answer from before TLS, as an attacker would insert it",
        ));
    };
    let patience = &mailbox.patience;
    let secured =
        within(patience.connect, "TLS handshake", tls::handshake(socket, &mailbox.host, trust.clone())).await?;
    Ok(LineStream::new(secured, patience.clone()))
}

async fn log_in(
    stream: &mut LineStream,
    mailbox: &Mailbox,
    tokens: &mut TokenCache,
    capabilities: Option<&[String]>,
) -> Result<(), ServerError> {
    let user = mailbox.user.as_str();
    let mechanism = match &mailbox.auth {
        Auth::Password(_) if offered(capabilities).contains(&"PLAIN") => "PLAIN",
        Auth::Password(_) => "USER",
        Auth::XOAuth2(_) => "XOAUTH2",
        Auth::OAuthBearer(_) => "OAUTHBEARER",
    };
    // If the server does not say what it offers, it is asked.
    if !matches!(mailbox.auth, Auth::Password(_))
        && capabilities.is_some()
        && !offered(capabilities).contains(&mechanism)
    {
        return Err(not_offered(mechanism, &offered(capabilities)));
    }
    let secret = tokens.secret(mailbox).await?;
    let message = match mechanism {
        "PLAIN" => sasl::plain(user, secret.expose_secret()),
        "XOAUTH2" => sasl::xoauth2(user, &secret),
        "OAUTHBEARER" => sasl::oauthbearer(user, (&mailbox.host, mailbox.port), &secret),
        _ => return log_in_by_user(stream, mailbox, secret.expose_secret()).await,
    };
    // Not in the command: its line is limited to 255 bytes (RFC 5034 section 4).
    match stream.command("login", &format!("AUTH {mechanism}")).await? {
        Pop3Status::Continue(_) => {}
        Pop3Status::Err(answer) => return Err(login_refused(mailbox, &answer, None)),
        Pop3Status::Ok(_) => {
            return Err(ServerError::settled("login: the server accepted it without a password or token"));
        }
    }
    let mut complaint = None;
    let mut line = STANDARD.encode(message);
    loop {
        match stream.command("login", &line).await? {
            Pop3Status::Ok(_) => return Ok(()),
            Pop3Status::Err(answer) => return Err(login_refused(mailbox, &answer, complaint.as_deref())),
            Pop3Status::Continue(challenge) if complaint.is_none() => {
                let said = STANDARD.decode(&challenge).unwrap_or_default();
                complaint = Some(String::from_utf8_lossy(&said).into_owned());
                // The answer that ends a failed exchange.
                line = if mechanism == "OAUTHBEARER" { STANDARD.encode("\x01") } else { String::new() };
            }
            Pop3Status::Continue(_) => {
                return Err(ServerError::lost("login", "the server sends one challenge after another"));
            }
        }
    }
}

async fn log_in_by_user(stream: &mut LineStream, mailbox: &Mailbox, password: &str) -> Result<(), ServerError> {
    for line in [format!("USER {}", mailbox.user), format!("PASS {password}")] {
        let answer = stream.ask("login", &line).await?;
        answer.map_err(|answer| login_refused(mailbox, &answer, None))?;
    }
    Ok(())
}

/// The offered SASL mechanisms.
fn offered(capabilities: Option<&[String]>) -> Vec<&str> {
    let lines = capabilities.unwrap_or_default().iter();
    let mechanisms = lines.filter_map(|line| line.strip_prefix("SASL ")).flat_map(str::split_ascii_whitespace);
    mechanisms.collect()
}

fn login_refused(mailbox: &Mailbox, answer: &str, complaint: Option<&str>) -> ServerError {
    if is_passing(answer) {
        return refused("login", answer);
    }
    refusal(mailbox, &format!("-ERR {answer}"), complaint)
}

/// Interprets a refusal: a few are temporary.
fn refused(what: &str, answer: &str) -> ServerError {
    match wait_in(answer) {
        Some(wait) => ServerError::Throttled { answer: format!("-ERR {answer}"), wait },
        None => ServerError::Refused { what: what.to_owned(), answer: format!("-ERR {answer}") },
    }
}

/// RFC 2449 section 8 and RFC 3206: another session uses the mailbox, or the server has a problem.
fn is_passing(answer: &str) -> bool {
    let upper = answer.to_ascii_uppercase();
    ["[IN-USE]", "[LOGIN-DELAY", "[SYS/TEMP]", "BACKOFF TIME:"].iter().any(|code| upper.contains(code))
}
