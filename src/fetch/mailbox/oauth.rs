//! Provides passwords and tokens when they are needed. Access tokens are requested at the token endpoint and kept until
//! shortly before they expire.
//!
//! No part of a secret is ever logged or named.

use super::account::{Auth, Mailbox, OAuth2, TokenSource};
use super::error::ServerError;
use super::redact::Redaction;
use super::tls::Roots;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::path::Path;
use std::time::{Duration, Instant};
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// How long the token endpoint may take.
const ENDPOINT: Duration = Duration::from_secs(30);
/// A token is renewed this long before its end.
const MARGIN: Duration = Duration::from_mins(2);
/// RFC 6749 leaves `expires_in` optional.
const UNSAID: Duration = Duration::from_mins(10);
/// How long a token is used at most: servers issue tokens for an hour or so, and an answer may say anything.
const LONGEST: Duration = Duration::from_hours(24);

/// The secrets of a mailbox, and the access token in use.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    current: Option<(SecretString, Instant)>,
}

impl TokenCache {
    /// The password or token to log in with now. Reads files, runs commands, asks the endpoint.
    pub(crate) async fn secret(&mut self, mailbox: &Mailbox) -> Result<SecretString, ServerError> {
        let source = match &mailbox.auth {
            Auth::Password(source) => source.clone(),
            Auth::XOAuth2(token) | Auth::OAuthBearer(token) => match token {
                TokenSource::Given(source) => source.clone(),
                TokenSource::Asked(oauth2) => return self.asked(oauth2.clone(), mailbox).await,
            },
        };
        let secret = aside(move || source.read()).await?;
        mailbox.secrets.add(&secret);
        Ok(secret)
    }

    async fn asked(&mut self, oauth2: OAuth2, mailbox: &Mailbox) -> Result<SecretString, ServerError> {
        if let Some((token, end)) = &self.current
            && Instant::now() < *end
        {
            return Ok(token.clone());
        }
        let (ca_file, secrets) = (mailbox.ca_file.clone(), mailbox.secrets.clone());
        let (token, lifetime) = aside(move || ask(&oauth2, &Roots::load(ca_file.as_deref())?, &secrets)).await?;
        mailbox.secrets.add(&token);
        self.current = Some((token.clone(), Instant::now() + kept(lifetime)));
        Ok(token)
    }

    /// The server refused it: requests another next time. Returns false if there was none to forget.
    pub(crate) fn forget(&mut self) -> bool {
        self.current.take().is_some()
    }
}

/// How long to use a token with this stated lifetime.
fn kept(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(MARGIN).min(LONGEST)
}

impl Auth {
    /// The password or token to log in with now, for a server of another protocol. Reads files, runs commands, asks the
    /// token endpoint, whose certificate may be one that `ca_file` trusts. Blocks.
    ///
    /// # Errors
    /// What failed, without any part of a secret.
    pub fn reveal(&self, ca_file: Option<&Path>) -> Result<SecretString, String> {
        let secrets = Redaction::default();
        let read = || match self {
            Self::Password(source) => source.read(),
            Self::XOAuth2(TokenSource::Given(source)) | Self::OAuthBearer(TokenSource::Given(source)) => source.read(),
            Self::XOAuth2(TokenSource::Asked(oauth2)) | Self::OAuthBearer(TokenSource::Asked(oauth2)) => {
                ask(oauth2, &Roots::load(ca_file)?, &secrets).map(|(token, _)| token)
            }
        };
        read().map_err(|fault| {
            let (what, hint) = fault.reason_and_hint();
            secrets.clean(&hint.map_or(what.clone(), |hint| format!("{what}; {hint}")))
        })
    }
}

/// Runs something blocking without delaying the time-outs.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServerError> + Send + 'static,
) -> Result<T, ServerError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ServerError::settled(format!("reading a secret: {error}"))),
    }
}

/// RFC 6749 section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretText,
    expires_in: Option<Seconds>,
}

/// Some endpoints quote the number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

/// Text that is deserialized directly into a `SecretString`.
struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::from(text)))
    }
}

/// RFC 6749 section 5.2.
#[derive(Deserialize)]
struct Denied {
    error: String,
    error_description: Option<String>,
}

fn ask(oauth2: &OAuth2, roots: &Roots, secrets: &Redaction) -> Result<(SecretString, Duration), ServerError> {
    let url = oauth2.token_url.as_str();
    let mut form = vec![("client_id", oauth2.client_id.clone())];
    let secret = oauth2.client_secret.as_ref().map(super::secret::Secret::read).transpose()?;
    let refresh = oauth2.refresh_token.as_ref().map(super::secret::Secret::read).transpose()?;
    secret.iter().chain(&refresh).for_each(|each| secrets.add(each));
    form.extend(secret.iter().map(|text| ("client_secret", text.expose_secret().to_owned())));
    match &refresh {
        Some(token) => {
            form.push(("grant_type", "refresh_token".to_owned()));
            form.push(("refresh_token", token.expose_secret().to_owned()));
        }
        None => form.push(("grant_type", "client_credentials".to_owned())),
    }
    form.extend(oauth2.scope.iter().map(|scope| ("scope", scope.clone())));
    let doing = format!("requesting a token from {url}");
    let agent = configured(roots, ENDPOINT, true).build().new_agent();
    let mut answer = agent.post(url).send_form(form).map_err(|error| match error {
        ureq::Error::RequireHttpsOnly(_) => {
            ServerError::settled(format!("token_url {url:?}: expected an https address"))
        }
        ureq::Error::BadUri(_) | ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
            ServerError::settled(format!("{doing}: {error}"))
        }
        _ => ServerError::lost(&doing, error),
    })?;
    let status = answer.status().as_u16();
    let body = answer
        .body_mut()
        .with_config()
        .limit(1 << 20)
        .read_to_vec()
        .map_err(|error| ServerError::lost(&doing, error))?;
    if status == 429 || status >= 500 {
        return Err(ServerError::lost(&doing, format_args!("it answered with status {status}")));
    }
    if status != 200 {
        return Err(denied(&doing, status, &body, refresh.is_some()));
    }
    // serde_json's message could quote the token, so it is not shown.
    let granted: Granted = serde_json::from_slice(&body).map_err(|_| {
        ServerError::settled(format!("{doing}: expected JSON with an access_token, found something else"))
    })?;
    let lifetime = match granted.expires_in {
        Some(Seconds::Number(seconds)) => Duration::from_secs(seconds),
        Some(Seconds::Text(text)) => text.parse().map_or(UNSAID, Duration::from_secs),
        None => UNSAID,
    };
    Ok((granted.access_token.0, lifetime))
}

/// An agent that trusts the same roots, for other web addresses. It follows no redirect, and no status is an error.
///
/// # Errors
/// If `ca_file` cannot be read or contains no certificate.
pub(crate) fn http_agent(ca_file: Option<&Path>, patience: Duration) -> Result<ureq::Agent, String> {
    Ok(http_config(ca_file, patience)?.build().new_agent())
}

/// The configuration of such an agent.
///
/// # Errors
/// If `ca_file` cannot be read or contains no certificate.
pub(crate) fn http_config(ca_file: Option<&Path>, patience: Duration) -> Result<ConfigBuilder<AgentScope>, String> {
    let roots = Roots::load(ca_file).map_err(|fault| fault.reason_and_hint().0)?;
    Ok(configured(&roots, patience, false))
}

fn configured(roots: &Roots, patience: Duration, https_only: bool) -> ConfigBuilder<AgentScope> {
    let certificates = if roots.certificates.is_empty() {
        RootCerts::WebPki
    } else {
        RootCerts::from(roots.certificates.iter().map(|each| Certificate::from_der(each).to_owned()))
    };
    ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .https_only(https_only)
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("dmarquet/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(certificates).build())
}

fn denied(doing: &str, status: u16, body: &[u8], refreshing: bool) -> ServerError {
    let Ok(denied) = serde_json::from_slice::<Denied>(body) else {
        return ServerError::settled(format!("{doing}: it answered with status {status}"));
    };
    let more = denied.error_description.map(|text| format!(", {text}")).unwrap_or_default();
    let what = format!("{doing}: it answered {}{more}", denied.error);
    match denied.error.as_str() {
        "invalid_grant" if refreshing => ServerError::hinted(
            what,
            "the refresh token has expired or was revoked: authorize again and store the new one",
        ),
        "invalid_client" | "unauthorized_client" => ServerError::hinted(what, "check client_id and the client secret"),
        "invalid_scope" => ServerError::hinted(what, "check scope"),
        _ => ServerError::settled(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stated_lifetime_exceeds_the_range_of_the_clock() {
        for (reason_and_hint, used) in [(0, 0), (60, 0), (3600, 3480), (u64::MAX, 86_400)] {
            assert_eq!(kept(Duration::from_secs(reason_and_hint)), Duration::from_secs(used));
            assert!(Instant::now().checked_add(kept(Duration::from_secs(reason_and_hint))).is_some());
        }
    }
}
