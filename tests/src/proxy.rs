//! A wire between a process and its neighbour that a test can cut or slow down.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Forwards TCP connections to an address. While it is cut, connections that
/// there are end, and new ones end as soon as they are made.
pub struct Proxy {
    port: u16,
    /// Odd while cut; connections live for one value.
    epoch: Arc<AtomicU64>,
    /// Milliseconds that each piece of at most 64 KiB is held up.
    delay: Arc<AtomicU64>,
}

impl Proxy {
    /// Listens on a free port; ends with the test's process.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let epoch = Arc::new(AtomicU64::new(0));
        let delay = Arc::new(AtomicU64::new(0));
        let (shared, slow) = (Arc::clone(&epoch), Arc::clone(&delay));
        thread::spawn(move || {
            for connection in listener.incoming().filter_map(Result::ok) {
                if shared.load(Ordering::SeqCst).is_multiple_of(2)
                    && let Ok(other) = TcpStream::connect(target)
                {
                    // A connection that cannot be set up is one that ends.
                    let _ = pair(&connection, &other, &shared, &slow);
                }
            }
        });
        Ok(Self { port, epoch, delay })
    }

    /// Its address, as `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Holds up each piece that passes, of at most 64 KiB, for so long.
    pub fn slow(&self, delay: Duration) {
        self.delay.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    /// Cuts the wire.
    pub fn cut(&self) {
        self.epoch.fetch_or(1, Ordering::SeqCst);
    }

    /// Joins it again.
    pub fn join(&self) {
        let _ = self
            .epoch
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |e| (e % 2 == 1).then_some(e + 1));
    }
}

fn pair(
    one: &TcpStream,
    other: &TcpStream,
    epoch: &Arc<AtomicU64>,
    delay: &Arc<AtomicU64>,
) -> io::Result<()> {
    for (from, to) in [(one, other), (other, one)] {
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        let (epoch, delay) = (Arc::clone(epoch), Arc::clone(delay));
        from.set_read_timeout(Some(Duration::from_millis(20)))?;
        thread::spawn(move || copy(&from, &to, &epoch, &delay));
    }
    Ok(())
}

/// Copies one direction until it ends or the wire is cut.
fn copy(mut from: &TcpStream, mut to: &TcpStream, epoch: &AtomicU64, delay: &AtomicU64) {
    let begun = epoch.load(Ordering::SeqCst);
    let mut buffer = vec![0; 64 << 10];
    while epoch.load(Ordering::SeqCst) == begun {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                let delay = delay.load(Ordering::SeqCst);
                if delay > 0 {
                    thread::sleep(Duration::from_millis(delay));
                }
                if to.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
