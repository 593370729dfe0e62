//! A small SMTP server on loopback with the three kinds of connection security. It records what it receives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How the server secures a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secured {
    Not,
    ByStartTls,
    FromTheStart,
}

/// What a client sent in one session.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) encrypted: bool,
    pub(crate) commands: Vec<String>,
    pub(crate) mail: String,
}

/// A server for one session.
pub(crate) struct SmtpServer {
    pub(crate) port: u16,
    session: Receiver<Session>,
}

impl SmtpServer {
    /// Listens; refuses recipients whose address contains `refused`.
    pub(crate) fn start(secured: Secured, folder: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
        let port = listener.local_addr().expect("a bound address").port();
        let tls = (secured != Secured::Not).then(|| tls(folder));
        let (sender, session) = channel();
        std::thread::spawn(move || {
            let (socket, _) = listener.accept().expect("a client");
            let mut talk = Session::default();
            // A client that goes away ends the session.
            let _ = serve(socket, secured, tls, &mut talk);
            let _ = sender.send(talk);
        });
        Self { port, session }
    }

    /// What the client sent.
    pub(crate) fn session(self) -> Session {
        self.session.recv_timeout(std::time::Duration::from_secs(10)).expect("a session that ends")
    }

    /// The certificate to trust.
    pub(crate) fn ca_file(folder: &Path) -> PathBuf {
        folder.join("smtp-cert.pem")
    }
}

/// A server that handles one connection with this function; its port.
pub(crate) fn scripted(serve: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
    let port = listener.local_addr().expect("a bound address").port();
    std::thread::spawn(move || serve(listener.accept().expect("a client").0));
    port
}

/// An HTTPS server on loopback that answers one request with an error that repeats the request's body; its port.
pub(crate) fn repeating_endpoint(folder: &Path) -> u16 {
    let config = tls(folder);
    scripted(move |socket| {
        let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config).expect("a connection"), socket));
        let (mut length, mut line) = (0, String::new());
        while stream.read_line(&mut line).is_ok_and(|count| count > 2) {
            let header = line.to_lowercase();
            length =
                header.strip_prefix("content-length:").map_or(length, |text| text.trim().parse().expect("a length"));
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("the body");
        let body = String::from_utf8(body).expect("a form");
        let answer =
            serde_json::json!({ "error": "invalid_grant", "error_description": format!("no: {body}") }).to_string();
        let head = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n", answer.len());
        let _ = stream.get_mut().write_all((head + &answer).as_bytes());
        let _ = stream.get_mut().flush();
    })
}

/// A new certificate for localhost: one that is checked in would expire.
fn tls(folder: &Path) -> Arc<ServerConfig> {
    let (key, certificate) = (folder.join("smtp-key.pem"), SmtpServer::ca_file(folder));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .args([&key, Path::new("-out"), &certificate])
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let chain = vec![CertificateDer::from_pem_file(&certificate).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(&key).expect("a key");
    Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("they fit"))
}

fn serve(
    mut socket: TcpStream,
    secured: Secured,
    tls: Option<Arc<ServerConfig>>,
    talk: &mut Session,
) -> std::io::Result<()> {
    let encrypt = |socket| {
        let config = tls.clone().expect("a server that encrypts has a certificate");
        StreamOwned::new(ServerConnection::new(config).expect("a connection"), socket)
    };
    if secured == Secured::FromTheStart {
        talk.encrypted = true;
        let mut stream = encrypt(socket);
        stream.write_all(b"220 localhost ESMTP\r\n")?;
        return dialogue(stream, false, talk).map(|_| ());
    }
    socket.write_all(b"220 localhost ESMTP\r\n")?;
    if dialogue(&socket, secured == Secured::ByStartTls, talk)? {
        talk.encrypted = true;
        dialogue(encrypt(socket), false, talk)?;
    }
    Ok(())
}

/// Answers until QUIT or STARTTLS; returns true for the latter.
fn dialogue(stream: impl Read + Write, offer_tls: bool, talk: &mut Session) -> std::io::Result<bool> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let line = line.trim_end().to_owned();
        let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        let answer = match word.as_str() {
            "EHLO" if offer_tls => "250-localhost\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
            "EHLO" => "250-localhost\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n",
            "STARTTLS" => "220 go ahead\r\n",
            "AUTH" if line.ends_with("AHVzZXIAc2VjcmV0") => "235 2.7.0 welcome\r\n", // \0user\0secret
            "AUTH" => "535 5.7.8 wrong password\r\n",
            "RCPT" if line.contains("refused@") => "550 5.1.1 no \x1b[31msuch user\r\n",
            "DATA" => "354 go on\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        talk.commands.push(line);
        stream.get_mut().write_all(answer.as_bytes())?;
        stream.get_mut().flush()?;
        match word.as_str() {
            "STARTTLS" => return Ok(true),
            "QUIT" => return Ok(false),
            "DATA" => {
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line)? == 0 || line == ".\r\n" {
                        break;
                    }
                    talk.mail.push_str(&line);
                }
                stream.get_mut().write_all(b"250 2.0.0 taken\r\n")?;
                stream.get_mut().flush()?;
            }
            _ => {}
        }
    }
}
