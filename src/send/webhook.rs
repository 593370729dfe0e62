//! Posts a message to a web address: one POST, TLS always verified, redirects followed on the same host only.

use crate::fetch::mailbox::Redaction;
use crate::fetch::mailbox::oauth::http_agent;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::time::Duration;

/// How long a web address may take.
pub const WEB_PATIENCE: Duration = Duration::from_secs(30);
/// Redirects that are followed.
const REDIRECTS: usize = 3;
/// Bytes kept of an error response.
const SAID_BYTES: u64 = 300;

/// A web address to post to. The address itself is a secret: anybody who knows it can post.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// `https://...`; `http://` only for this machine.
    pub url: SecretString,
    /// A token for the `Authorization` header, if the receiver requires one.
    pub token: Option<SecretString>,
    /// One more trusted root, PEM.
    pub ca_file: Option<PathBuf>,
    /// How long it may take.
    pub patience: Duration,
}

/// What is posted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebMessage {
    /// The `Content-Type`.
    pub content_type: String,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Why a web address did not take a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebFailure {
    /// What went wrong, without any part of a secret.
    pub why: String,
    /// Retrying may help.
    pub again: bool,
}

impl Webhook {
    /// Posts the message. A 2xx response is a success.
    ///
    /// # Errors
    /// If the address is invalid, cannot be reached, or does not accept the message.
    pub fn post(&self, message: &WebMessage) -> Result<(), WebFailure> {
        let secrets = Redaction::default();
        secrets.add(&self.url);
        self.token.iter().for_each(|token| secrets.add(token));
        self.follow(message).map_err(|failure| WebFailure { why: secrets.clean(&failure.why), ..failure })
    }

    fn follow(&self, message: &WebMessage) -> Result<(), WebFailure> {
        let settled = |why: String| WebFailure { why, again: false };
        let agent = http_agent(self.ca_file.as_deref(), self.patience).map_err(settled)?;
        let mut url = self.url.expose_secret().trim().to_owned();
        let first = Origin::of(&url).map_err(settled)?;
        for _ in 0..=REDIRECTS {
            let mut request = agent.post(&url).header("Content-Type", &message.content_type);
            for (name, value) in &message.headers {
                request = request.header(name, value);
            }
            if let Some(token) = &self.token {
                request = request.header("Authorization", format!("Bearer {}", token.expose_secret()));
            }
            let mut answer = request.send(message.body.as_bytes()).map_err(|error| match error {
                ureq::Error::BadUri(_) => settled("expected a web address, found something else".to_owned()),
                ureq::Error::Timeout(_) => {
                    let seconds = self.patience.as_secs();
                    WebFailure { why: format!("did not answer within {seconds} s"), again: true }
                }
                error => WebFailure { why: format!("could not be reached: {error}"), again: true },
            })?;
            let status = answer.status().as_u16();
            match status {
                200..=299 => return Ok(()),
                307 | 308 => {
                    let target = answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or("");
                    let target = first.join(target);
                    let next = Origin::of(&target).map_err(settled)?;
                    if next != first {
                        return Err(settled("redirects to another host, which is not followed".to_owned()));
                    }
                    url = target;
                }
                _ => {
                    let said = answer.body_mut().with_config().limit(SAID_BYTES).read_to_vec().unwrap_or_default();
                    let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
                    let said = if said.is_empty() { said } else { format!(": {said}") };
                    let why = format!("answered with status {status}{said}");
                    return Err(WebFailure { why, again: status == 408 || status == 429 || status >= 500 });
                }
            }
        }
        Err(settled(format!("redirects more than {REDIRECTS} times")))
    }
}

/// The scheme and host of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    /// With the port, if given.
    host: String,
}

impl Origin {
    fn of(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("expected an address that begins with https://")?;
        let scheme = scheme.to_ascii_lowercase();
        let host = rest.split(['/', '?', '#']).next().unwrap_or("");
        let host = host.rsplit('@').next().unwrap_or("").to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
        let bare = bare.unwrap_or_else(|| host.split(':').next().unwrap_or(""));
        let loopback =
            bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        match scheme.as_str() {
            _ if host.is_empty() => Err("expected a host in the address, found none".to_owned()),
            "https" => Ok(Self { scheme, host }),
            "http" if loopback => Ok(Self { scheme, host }),
            "http" => Err(format!("expected https for {host}, found http, which is for this machine only")),
            _ => Err("expected an address that begins with https://".to_owned()),
        }
    }

    /// The target address of a redirect.
    fn join(&self, target: &str) -> String {
        if target.contains("://") {
            target.to_owned()
        } else if let Some(rest) = target.strip_prefix("//") {
            format!("{}://{rest}", self.scheme)
        } else {
            format!("{}://{}/{}", self.scheme, self.host, target.trim_start_matches('/'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, WebMessage, Webhook};
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    /// Post to a receiver that answers with these bytes and then says no more.
    fn posted_to_one_that_stalls(answer: &'static [u8]) -> (String, bool) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let receiver = std::thread::spawn(move || {
            let (mut socket, _): (TcpStream, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 4096]);
            socket.write_all(answer).unwrap();
            let _ = is_done.recv();
        });
        let patience = Duration::from_secs(1);
        let url = format!("http://127.0.0.1:{port}/hook-SECRET").into();
        let begin = Instant::now();
        let failure = Webhook { url, token: None, ca_file: None, patience }.post(&WebMessage::default()).unwrap_err();
        assert!(begin.elapsed() < 5 * patience, "{:?}", begin.elapsed());
        drop(done);
        receiver.join().unwrap();
        (failure.why, failure.again)
    }

    #[test]
    fn a_receiver_that_stalls_costs_a_bounded_time_and_is_tried_again() {
        let silent = ("did not answer within 1 s".to_owned(), true);
        assert_eq!(posted_to_one_that_stalls(b""), silent);
        assert_eq!(posted_to_one_that_stalls(b"HTTP/1.1 200 OK\r\nContent-Le"), silent);
        // What it said of its refusal is cut short, the refusal stands.
        let refused = posted_to_one_that_stalls(b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nhook");
        assert!(refused.0.starts_with("answered with status 503") && refused.1, "{refused:?}");
    }

    #[test]
    fn an_address_is_https_or_of_this_machine() {
        for (url, host) in [
            ("https://hooks.example.com/a?b", Ok("hooks.example.com")),
            ("HTTPS://User:pw@Hooks.example.com:8443", Ok("hooks.example.com:8443")),
            ("http://127.0.0.1:9/x", Ok("127.0.0.1:9")),
            ("http://[::1]:9/x", Ok("[::1]:9")),
            ("http://127.0.0.1.example.com/", Err(())),
            ("http://hooks.example.com/", Err(())),
            ("ftp://hooks.example.com/", Err(())),
            ("https:///x", Err(())),
            ("hooks.example.com", Err(())),
        ] {
            assert_eq!(Origin::of(url).map(|origin| origin.host).map_err(drop), host.map(str::to_owned), "{url}");
        }
    }

    #[test]
    fn a_redirect_is_joined_to_its_host() {
        let origin = Origin::of("https://a.example/x").unwrap();
        assert_eq!(origin.join("/y?z"), "https://a.example/y?z");
        assert_eq!(origin.join("//b.example/y"), "https://b.example/y");
        assert_eq!(origin.join("https://b.example/"), "https://b.example/");
    }
}
