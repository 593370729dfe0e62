//! Logging in: SASL PLAIN and LOGIN, the LOGIN command, XOAUTH2, OAUTHBEARER.
//!
//! A refused password is not tried again, since that locks accounts. No message contains any part of a secret.

use super::connect::{client_fault, offers};
use super::wire::Wire;
use crate::fetch::mailbox::connect::{not_offered, refusal};
use crate::fetch::mailbox::error::{ServerError, wait_in};
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::{Auth, Mailbox, sasl};
use async_imap::{Authenticator, Client, Session};
use secrecy::{ExposeSecret, SecretString};
use tokio::time;

/// A SASL exchange: the answer to each challenge.
struct Exchange {
    answers: std::vec::IntoIter<Vec<u8>>,
    /// The answer to further challenges: it ends a failed OAuth exchange.
    last: &'static [u8],
    /// The server's text in that challenge.
    complaint: Option<String>,
}

impl Authenticator for &mut Exchange {
    type Response = Vec<u8>;

    fn process(&mut self, challenge: &[u8]) -> Vec<u8> {
        self.answers.next().unwrap_or_else(|| {
            self.complaint = Some(String::from_utf8_lossy(challenge).into_owned());
            self.last.to_vec()
        })
    }
}

/// The chosen login method.
enum LoginMethod {
    Sasl { mechanism: &'static str, exchange: Exchange },
    Command(SecretString),
}

/// Logs in.
pub(super) async fn login(
    mut client: Client<Wire>,
    mailbox: &Mailbox,
    tokens: &mut TokenCache,
) -> Result<Session<Wire>, ServerError> {
    let way = choose(&client, mailbox, tokens).await?;
    // Capabilities may differ before and after the login.
    client.get_mut().gate_mut().forget_capabilities();
    let limit = mailbox.patience.command;
    let (result, complaint) = match way {
        LoginMethod::Sasl { mechanism, mut exchange } => {
            let result = time::timeout(limit, client.authenticate(mechanism, &mut exchange)).await;
            (result, exchange.complaint)
        }
        LoginMethod::Command(password) => {
            (time::timeout(limit, client.login(&mailbox.user, password.expose_secret())).await, None)
        }
    };
    match result {
        Ok(Ok(session)) => Ok(session),
        Ok(Err((error, client))) => match client_fault(&client, "login", &error) {
            ServerError::Refused { answer, .. } => Err(refused(mailbox, &answer, complaint.as_deref())),
            other => Err(other),
        },
        Err(_) => Err(ServerError::lost("login", format_args!("no answer in {limit:?}"))),
    }
}

async fn choose(client: &Client<Wire>, mailbox: &Mailbox, tokens: &mut TokenCache) -> Result<LoginMethod, ServerError> {
    let user = mailbox.user.as_str();
    let exchange = |mechanism, answers: Vec<Vec<u8>>, last| LoginMethod::Sasl {
        mechanism,
        exchange: Exchange { answers: answers.into_iter(), last, complaint: None },
    };
    match &mailbox.auth {
        Auth::Password(_) => {
            let plain = offers(client, "AUTH=PLAIN");
            let login = offers(client, "AUTH=LOGIN");
            if !plain && !login && offers(client, "LOGINDISABLED") {
                return Err(ServerError::hinted(
                    "the server takes no password here: it says LOGINDISABLED",
                    "use security = \"tls\" or \"starttls\", or auth = \"xoauth2\" if it no longer accepts passwords",
                ));
            }
            let secret = tokens.secret(mailbox).await?;
            let password = secret.expose_secret();
            Ok(if plain {
                exchange("PLAIN", vec![sasl::plain(user, password)], b"")
            } else if login {
                exchange("LOGIN", vec![user.as_bytes().to_vec(), password.as_bytes().to_vec()], b"")
            } else {
                LoginMethod::Command(secret)
            })
        }
        Auth::XOAuth2(_) => {
            expect(client, "XOAUTH2")?;
            let token = tokens.secret(mailbox).await?;
            Ok(exchange("XOAUTH2", vec![sasl::xoauth2(user, &token)], b""))
        }
        Auth::OAuthBearer(_) => {
            expect(client, "OAUTHBEARER")?;
            let token = tokens.secret(mailbox).await?;
            let first = sasl::oauthbearer(user, (&mailbox.host, mailbox.port), &token);
            Ok(exchange("OAUTHBEARER", vec![first], b"\x01"))
        }
    }
}

fn expect(client: &Client<Wire>, mechanism: &str) -> Result<(), ServerError> {
    if offers(client, &format!("AUTH={mechanism}")) {
        return Ok(());
    }
    let all = client.get_ref().gate().capabilities().unwrap_or_default();
    let offered: Vec<&str> = all.iter().filter_map(|word| word.strip_prefix("AUTH=")).collect();
    Err(not_offered(mechanism, &offered))
}

/// A refused login: a few refusals are temporary, the rest need a person.
fn refused(mailbox: &Mailbox, answer: &str, complaint: Option<&str>) -> ServerError {
    if let Some(wait) = wait_in(answer) {
        return ServerError::Throttled { answer: answer.to_owned(), wait };
    }
    let upper = answer.to_ascii_uppercase();
    if ["[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]"].iter().any(|code| upper.contains(code)) {
        return ServerError::lost("login", format_args!("the server answered {answer}"));
    }
    refusal(mailbox, answer, complaint)
}
