//! A connection to a server with a time limit for every wait, and its errors in words.

use super::server::Server;
use crate::fetch::mailbox::Security;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio_rustls::rustls::{self, ClientConnection, StreamOwned};

/// What a time-out during connecting waited for.
pub(super) const CONNECTION: &str = "the connection";

/// A socket whose operations time out.
pub(super) struct TimedStream {
    pub(super) socket: TcpStream,
    /// When the current step must be done.
    pub(super) end: Instant,
}

impl TimedStream {
    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        self.socket.read(buffer)
    }
}

impl Write for TimedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A plain or encrypted connection.
pub(super) enum SmtpStream {
    Plain(TimedStream),
    Tls(Box<StreamOwned<ClientConnection, TimedStream>>),
}

impl SmtpStream {
    pub(super) fn timed(&mut self) -> &mut TimedStream {
        match self {
            Self::Plain(timed) => timed,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// Connects to the first of the server's addresses that answers.
pub(super) fn connect(server: &Server) -> Result<TcpStream, String> {
    let end = Instant::now() + server.patience;
    let mut last = "has no address".to_owned();
    for address in addresses(server)? {
        if server.security == Security::None && !address.ip().to_canonical().is_loopback() {
            return Err("is not this machine, and security = \"none\" is for a loopback address only".to_owned());
        }
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => {
                // Commands are small, and each waits for an answer.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Err(error) if is_late(&error) => last = format!("did not answer within {}", seconds(server.patience)),
            Err(error) => last = format!("cannot be reached: {error}"),
        }
    }
    Err(last)
}

/// The system's resolver has no time limit of its own; a thread that waits for it is left behind.
fn addresses(server: &Server) -> Result<Vec<SocketAddr>, String> {
    let (sender, found) = mpsc::channel();
    let name = (server.host.clone(), server.port);
    std::thread::spawn(move || sender.send(name.to_socket_addrs().map(Iterator::collect)));
    match found.recv_timeout(server.patience) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(format!("cannot be found: {error}")),
        Err(_) => Err(format!("could not be looked up within {}", seconds(server.patience))),
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

pub(super) fn wire_fault(error: &io::Error, what: &str, patience: Duration) -> String {
    match error.kind() {
        _ if is_late(error) && what == CONNECTION => format!("did not answer within {}", seconds(patience)),
        _ if is_late(error) => format!("did not answer {what} within {}", seconds(patience)),
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => {
            format!("closed the connection instead of answering {what}")
        }
        _ => format!("failed while answering {what}: {error}"),
    }
}

pub(super) fn tls_fault(error: &io::Error, patience: Duration) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => format!("has a certificate that is not trusted: {why}"),
        Some(why @ rustls::Error::InvalidMessage(_)) => {
            format!(
                "does not speak TLS on this port ({why}); security = \"starttls\" is for a port that begins in plain text"
            )
        }
        Some(why) => format!("could not agree on TLS: {why}"),
        None => wire_fault(error, "the TLS handshake", patience),
    }
}

/// A duration for a sentence.
pub(super) fn seconds(time: Duration) -> String {
    if time.subsec_nanos() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}
