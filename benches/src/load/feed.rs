//! What a connection sends, in order: requests, each with its times.

use std::io;

/// One request, ready to be sent.
pub struct Request<'a> {
    /// The compressed body.
    pub body: &'a [u8],
    /// Samples in it.
    pub samples: u64,
    /// Its newest sample's time, in ms: when it could have been sent at the earliest.
    pub newest_ms: i64,
    /// The scrape that it belongs to, counted from 0.
    pub scrape: u64,
}

/// The requests of one connection. A series always comes by the same one.
pub trait Feed: Send {
    /// The next request; none at the end.
    ///
    /// # Errors
    /// When a request cannot be compressed.
    fn next(&mut self) -> io::Result<Option<Request<'_>>>;
}
