//! Connections whose requests may have characters in their target that RFC
//! 3986 wants escaped: `curl -g '…?query=up{job="x"}'` sends them raw, and
//! Prometheus takes them.
//!
//! [`Heads`] follows the requests of a connection and escapes such characters
//! of each request line; all else passes as it is. What it does not
//! understand (a chunked body, an upgrade, HTTP/2) it passes on untouched to
//! the end of the connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of a head that are read at once.
const READ: usize = 4096;
/// As much of a header line as tells a length.
const LINE: usize = 64;

/// A listener of such connections.
pub(crate) struct Lenient(pub(crate) TcpListener);

impl Listener for Lenient {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (Connection { stream, heads: Heads::default(), pending: Vec::new(), at: 0 }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Follows the requests of one connection.
#[derive(Debug, Default)]
struct Heads {
    state: State,
    /// What the current head has said of its body.
    body: u64,
    opaque: bool,
}

#[derive(Debug)]
enum State {
    /// In a request line, after so many spaces.
    Line(u8),
    /// In the headers, with the beginning of the current line.
    Headers(Vec<u8>),
    /// So many bytes of a body are to come.
    Body(u64),
    /// Nothing is known any more.
    Opaque,
}

impl Default for State {
    fn default() -> Self {
        Self::Line(0)
    }
}

impl Heads {
    /// Bytes that may pass without being looked at.
    fn free(&self) -> u64 {
        match self.state {
            State::Line(_) | State::Headers(_) => 0,
            State::Body(left) => left,
            State::Opaque => u64::MAX,
        }
    }

    /// So many of them have passed.
    fn passed(&mut self, bytes: u64) {
        if let State::Body(left) = &mut self.state {
            *left -= bytes;
            if *left == 0 {
                self.state = State::default();
            }
        }
    }

    /// Takes the next bytes and appends them, escaped, to `out`.
    fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some((&first, rest)) = bytes.split_first() {
            let free = usize::try_from(self.free()).unwrap_or(usize::MAX).min(bytes.len());
            if free > 0 {
                out.extend_from_slice(&bytes[..free]);
                self.passed(free as u64);
                bytes = &bytes[free..];
                continue;
            }
            bytes = rest;
            match &mut self.state {
                State::Line(spaces) => {
                    let escape = *spaces == 1 && matches!(first, b'"' | b'<' | b'>' | 0x80..);
                    match first {
                        b'\n' => self.state = State::Headers(Vec::new()),
                        // The preface of HTTP/2 has no target that begins with a slash.
                        b'*' if *spaces == 1 => self.state = State::Opaque,
                        b' ' => *spaces = spaces.saturating_add(1),
                        _ => {}
                    }
                    if escape {
                        let hex = |n: u8| b"0123456789ABCDEF"[usize::from(n)];
                        out.extend([b'%', hex(first >> 4), hex(first & 15)]);
                        continue;
                    }
                }
                State::Headers(line) => {
                    if first == b'\n' {
                        let line = std::mem::take(line);
                        self.header(line.trim_ascii());
                    } else if line.len() < LINE {
                        line.push(first);
                    }
                }
                State::Body(_) | State::Opaque => {}
            }
            out.push(first);
        }
    }

    /// The end of a header line, or of the head.
    fn header(&mut self, line: &[u8]) {
        let (name, value) = match line.iter().position(|b| *b == b':') {
            Some(at) => (&line[..at], line[at + 1..].trim_ascii()),
            None => (line, &line[line.len()..]),
        };
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            match length {
                Some(length) => self.body = length,
                None => self.opaque = true,
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding")
            || name.eq_ignore_ascii_case(b"upgrade")
        {
            self.opaque = true;
        } else if line.is_empty() {
            self.state = match (std::mem::take(&mut self.opaque), std::mem::take(&mut self.body)) {
                (true, _) => State::Opaque,
                (false, 0) => State::default(),
                (false, length) => State::Body(length),
            };
        }
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    heads: Heads,
    /// What has been read and not taken yet, from `at` on.
    pending: Vec<u8>,
    at: usize,
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let free = this.heads.free();
        if this.at == this.pending.len() && free > 0 {
            // A body goes straight to where it is wanted.
            let most = usize::try_from(free).unwrap_or(usize::MAX).min(out.remaining());
            let mut part = ReadBuf::new(out.initialize_unfilled_to(most));
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
            let read = part.filled().len();
            out.advance(read);
            this.heads.passed(read as u64);
            return Poll::Ready(Ok(()));
        }
        if this.at == this.pending.len() {
            let mut head = [0; READ];
            let mut part = ReadBuf::new(&mut head);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
            this.pending.clear();
            this.at = 0;
            this.heads.feed(part.filled(), &mut this.pending);
        }
        let rest = &this.pending[this.at..];
        let most = rest.len().min(out.remaining());
        out.put_slice(&rest[..most]);
        this.at += most;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_targets_are_escaped() {
        let cases: [(&str, &str); 6] = [
            (
                "GET /a?q=up{b=\"c\"} HTTP/1.1\r\nX: \"\r\n\r\n",
                "GET /a?q=up{b=%22c%22} HTTP/1.1\r\nX: \"\r\n\r\n",
            ),
            (
                "POST /<> HTTP/1.1\r\ncontent-LENGTH: 22\r\n\r\nGET /\" HTTP/1.1\r\n\"\"\"\"GET /é HTTP/1.1\r\n\r\n",
                "POST /%3C%3E HTTP/1.1\r\ncontent-LENGTH: 22\r\n\r\nGET /\" HTTP/1.1\r\n\"\"\"\"GET /%C3%A9 HTTP/1.1\r\n\r\n",
            ),
            (
                "GET /\" HTTP/1.1\n\nGET /\" HTTP/1.1\n\n",
                "GET /%22 HTTP/1.1\n\nGET /%22 HTTP/1.1\n\n",
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nGET /\" HTTP/1.1\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nGET /\" HTTP/1.1\r\n",
            ),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /\"", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /\""),
            ("\"\" \"\" \"\"", "\"\" %22%22 \"\""),
        ];
        for (sent, want) in cases {
            // However it is cut.
            for cut in 0..=sent.len() {
                let (mut heads, mut out) = (Heads::default(), Vec::new());
                heads.feed(&sent.as_bytes()[..cut], &mut out);
                heads.feed(&sent.as_bytes()[cut..], &mut out);
                assert_eq!(String::from_utf8_lossy(&out), want);
            }
        }
    }
}
