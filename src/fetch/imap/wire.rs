//! The socket that async-imap uses: a stream that reads through the [`Gate`].
//!
//! It holds one read of the socket (64 KiB) and one response. Silence while an answer is due is an error.

use super::gate::{Gate, GateError};
use crate::fetch::mailbox::tls::Socket;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

const READ_BYTES: usize = 64 << 10;

/// A socket whose incoming side is filtered and metered.
pub(super) struct Wire {
    socket: Box<dyn Socket>,
    read: Box<[u8]>,
    gate: Gate,
    /// What the gate let through, and how much of it the parser consumed.
    current: (Vec<u8>, usize),
    fault: Option<GateError>,
    /// How long the server may be silent.
    silence: Duration,
    /// When the silence becomes too long; set while the server is silent.
    too_long: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    /// Wraps a socket, with limits on literals and on silence.
    pub(super) fn new(socket: Box<dyn Socket>, literal_limit: u64, silence: Duration) -> Self {
        let read = vec![0; READ_BYTES].into_boxed_slice();
        let gate = Gate::new(literal_limit);
        Self { socket, read, gate, current: (Vec::new(), 0), fault: None, silence, too_long: None }
    }

    /// Starts listening: from now on the server may be silent for this long.
    pub(super) fn listen(&mut self, silence: Duration) {
        self.silence = silence;
        self.too_long = None;
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let end = Instant::now() + self.silence;
        let too_long = self.too_long.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        too_long.as_mut().poll(cx).map(|()| {
            let what = format!("the server is silent for {:?}", self.silence);
            io::Error::new(io::ErrorKind::TimedOut, what)
        })
    }

    /// The gate.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The gate.
    pub(super) fn gate_mut(&mut self) -> &mut Gate {
        &mut self.gate
    }

    /// Returns the socket; bytes read but not consumed are discarded.
    pub(super) fn into_socket(self) -> Box<dyn Socket> {
        self.socket
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let (bytes, taken) = &mut this.current;
            if *taken < bytes.len() {
                let end = bytes.len().min(*taken + buf.remaining());
                buf.put_slice(&bytes[*taken..end]);
                *taken = end;
                return Poll::Ready(Ok(()));
            }
            if let Some(bytes) = this.gate.take() {
                this.current = (bytes, 0);
                continue;
            }
            if let Some(fault) = this.fault.take() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
            }
            let mut read = ReadBuf::new(&mut this.read);
            match Pin::new(&mut this.socket).poll_read(cx, &mut read) {
                Poll::Ready(result) => result?,
                Poll::Pending => return this.poll_silence(cx).map(Err),
            }
            this.too_long = None;
            if read.filled().is_empty() {
                let cut = this.gate.is_within();
                let end = if cut { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) };
                return Poll::Ready(end);
            }
            this.fault = this.gate.feed(read.filled()).err();
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
