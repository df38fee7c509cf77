//! A network of one process: connections are pairs of in-memory pipes, so
//! that gRPC between roles of one process takes the path of real gRPC
//! without a socket.

use std::io;

use parking_lot::Mutex;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

/// Bytes that a pipe holds before its writer waits.
const PIPE_BYTES: usize = 1 << 20;
/// Connections that wait to be accepted.
const BACKLOG: usize = 64;

/// The process' own network, with one listener.
#[derive(Debug)]
pub struct LocalNetwork {
    connect: mpsc::Sender<DuplexStream>,
    accept: Mutex<Option<mpsc::Receiver<DuplexStream>>>,
}

impl LocalNetwork {
    /// A network on which nobody listens yet.
    pub fn new() -> Self {
        let (connect, accept) = mpsc::channel(BACKLOG);
        Self { connect, accept: Mutex::new(Some(accept)) }
    }

    /// The listener's side; `None` when it was taken before.
    pub(crate) fn listen(&self) -> Option<mpsc::Receiver<DuplexStream>> {
        self.accept.lock().take()
    }

    /// Opens a connection to the listener.
    pub(crate) async fn connect(connect: mpsc::Sender<DuplexStream>) -> io::Result<DuplexStream> {
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        connect.send(server).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(client)
    }

    /// What a connector needs to open connections.
    pub(crate) fn connector(&self) -> mpsc::Sender<DuplexStream> {
        self.connect.clone()
    }
}

impl Default for LocalNetwork {
    fn default() -> Self {
        Self::new()
    }
}
