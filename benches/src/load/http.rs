//! HTTP/1.1 over one kept connection: a request goes out in one write, from
//! the caller's buffer, and little is done with the answer.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Most that an answer may hold.
const MAX_ANSWER: usize = 256 << 20;

/// A connection to one server, opened when needed.
#[derive(Debug)]
pub struct Connection {
    address: String,
    timeout: Duration,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Such as 204.
    pub status: u16,
    /// Seconds of `Retry-After`, if there were any.
    pub retry_after: Option<u64>,
    /// The body as text.
    pub body: String,
}

/// Splits `http://host:port/path`.
///
/// # Errors
/// On anything else.
pub fn split(url: &str) -> io::Result<(String, String)> {
    let bad = || io::Error::other(format!("url {url:?} must be http://host:port/path"));
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    Ok((host, if path.is_empty() { "/".to_owned() } else { path.to_owned() }))
}

impl Connection {
    /// A connection to `host:port`; each wait of it ends after `timeout`.
    pub fn new(address: &str, timeout: Duration) -> Self {
        Self { address: address.to_owned(), timeout, stream: None, buffer: Vec::new() }
    }

    /// Sends a request and waits for the answer. `headers` are whole lines.
    ///
    /// # Errors
    /// When the server cannot be reached or answers nonsense; the next
    /// request then opens a new connection.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        let answer = self.exchange(method, path, headers, body);
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(self.timeout))?;
                stream.set_write_timeout(Some(self.timeout))?;
                stream
            }
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        );
        write_both(&mut stream, head.as_bytes(), body)?;
        let (answer, keep) = self.answer(&mut stream)?;
        if keep {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    fn answer(&mut self, stream: &mut TcpStream) -> io::Result<(Answer, bool)> {
        self.buffer.clear();
        let head_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            self.more(stream)?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).into_owned();
        self.buffer.drain(..head_end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(format!("answer {head:?}")))?;
        let (mut length, mut chunked, mut keep, mut retry_after) = (None, false, true, None);
        for (name, value) in lines.filter_map(|l| l.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse::<usize>().ok(),
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => keep = !value.eq_ignore_ascii_case("close"),
                "retry-after" => retry_after = value.parse().ok(),
                _ => {}
            }
        }
        let body = if chunked {
            self.chunks(stream)?
        } else {
            let length = if status == 204 { 0 } else { length.unwrap_or(0) };
            self.need(stream, length)?;
            self.buffer[..length].to_vec()
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok((Answer { status, retry_after, body }, keep))
    }

    fn chunks(&mut self, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        let (mut body, mut at) = (Vec::new(), 0);
        loop {
            let end = loop {
                if let Some(found) = find(&self.buffer[at..], b"\r\n") {
                    break at + found;
                }
                self.more(stream)?;
            };
            let line = String::from_utf8_lossy(&self.buffer[at..end]).into_owned();
            let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)
                .map_err(|_| io::Error::other(format!("chunk length {line:?}")))?;
            at = end + 2;
            let needed = at.saturating_add(size).saturating_add(2);
            self.need(stream, needed)?;
            body.extend_from_slice(&self.buffer[at..at + size]);
            at += size + 2;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn need(&mut self, stream: &mut TcpStream, length: usize) -> io::Result<()> {
        if length > MAX_ANSWER {
            return Err(io::Error::other(format!("answer of {length} B is too long")));
        }
        while self.buffer.len() < length {
            self.more(stream)?;
        }
        Ok(())
    }

    fn more(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let mut part = [0; 16 << 10];
        let n = stream.read(&mut part)?;
        if n == 0 || self.buffer.len() + n > MAX_ANSWER {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer ends early"));
        }
        self.buffer.extend_from_slice(&part[..n]);
        Ok(())
    }
}

fn write_both(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let written = stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
    match written.checked_sub(head.len()) {
        Some(of_body) => stream.write_all(&body[of_body..]),
        None => {
            stream.write_all(&head[written..])?;
            stream.write_all(body)
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}
