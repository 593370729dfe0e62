//! `[smtp]`: how mail is sent: by a submission server or the local sendmail.

use super::mailbox::{SECURITY, auth_of, check_security};
use super::reader::Section;
use super::secret;
use crate::fetch::mailbox::{Auth, Security};
use crate::normalize::canonical_domain;
use std::path::{Path, PathBuf};

/// How mail is sent, and from which address.
#[derive(Debug, Clone)]
pub(crate) struct Smtp {
    /// The sender's address.
    pub(crate) from: String,
    /// The server or program that sends mail.
    pub(crate) outlet: Outlet,
}

/// The server or program that sends mail.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a program has one of it")]
pub(crate) enum Outlet {
    /// Submission to a server.
    Server {
        /// The server's name or address.
        host: String,
        /// The server's port.
        port: u16,
        /// The security of the connection.
        security: Security,
        /// The name in EHLO; `None`: an address literal.
        ehlo_name: Option<String>,
        /// One more trusted root, PEM.
        ca_file: Option<PathBuf>,
        /// The account and how to log in, if the server requires it.
        login: Option<(String, Auth)>,
    },
    /// The local sendmail or a compatible program.
    Sendmail(PathBuf),
}

/// Keys that require a server.
const SERVER_KEYS: [&str; 5] = ["port", "security", "ehlo_name", "ca_file", "user"];
/// Keys of the login.
const LOGIN_KEYS: [&str; 8] =
    ["auth", "password_command", "password_file", "password_env", "token_command", "token_file", "token_env", "oauth2"];

impl Smtp {
    /// Reads the table; `None` if a required value is missing.
    pub(super) fn of(section: &mut Section<'_>, folder: &Path) -> Option<Self> {
        let from = section.needed_text("from", "the sender's address, such as \"dmarc@example.com\"");
        let sendmail = section.path("sendmail", folder);
        let host = section.text("host");
        let outlet = match (host, sendmail) {
            (Some(host), None) => Some(server_of(section, host, folder)),
            (None, Some(path)) => {
                section.refuse(&SERVER_KEYS, "expected it only with host, found sendmail");
                section.refuse(&LOGIN_KEYS, "expected it only with host, found sendmail");
                Some(Outlet::Sendmail(path))
            }
            (Some(_), Some(_)) => {
                section.fault("sendmail", "expected either host or sendmail, found both");
                None
            }
            (None, None) => {
                if !section.has("host") && !section.has("sendmail") {
                    section.fault(
                        "host",
                        "expected the mail server's name, or sendmail = \"/usr/sbin/sendmail\", found neither",
                    );
                }
                None
            }
        };
        if outlet.is_none() {
            section.refuse(&SERVER_KEYS, "expected host before it, found no usable one");
            section.refuse(&LOGIN_KEYS, "expected host before it, found no usable one");
        }
        Some(Self { from: from?.to_owned(), outlet: outlet? })
    }
}

fn server_of(section: &mut Section<'_>, host: &str, folder: &Path) -> Outlet {
    let security = section.choice("security", &SECURITY).unwrap_or(Security::Tls);
    check_security(section, security, host);
    let default_port = match security {
        Security::Tls => 465,
        Security::StartTls => 587,
        Security::None => 25,
    };
    let port = section.port("port").unwrap_or(default_port);
    let ehlo_name = ehlo_name(section);
    let ca_file = section.path("ca_file", folder);
    let user = section.text("user").map(str::to_owned);
    let login_keys = LOGIN_KEYS.iter().any(|key| section.has(key));
    let auth = match (&user, login_keys) {
        (Some(_), true) => auth_of(section, folder, "smtp.oauth2"),
        (Some(_), false) => {
            section.fault("user", &format!("expected {} as well, found none", secret::PASSWORD.names()));
            None
        }
        (None, true) => {
            if !section.has("user") {
                section.fault("user", "expected the account name, because there is a password or token; found no user");
            }
            auth_of(section, folder, "smtp.oauth2")
        }
        (None, false) => None,
    };
    Outlet::Server { host: host.to_owned(), port, security, ehlo_name, ca_file, login: user.zip(auth) }
}

/// Reads a name that servers accept (RFC 5321 section 4.1.4): it must have a dot.
fn ehlo_name(section: &mut Section<'_>) -> Option<String> {
    let text = section.text("ehlo_name")?;
    let name = canonical_domain(text).filter(|name| name.as_str().contains('.'));
    if name.is_none() {
        section.fault(
            "ehlo_name",
            "expected this machine's full domain name, such as \"mail.example.com\", found something else",
        );
    }
    name.map(|name| name.as_str().to_owned())
}
