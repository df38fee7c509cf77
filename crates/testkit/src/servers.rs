//! Real servers as child processes: moto (S3) and azurite (Azure Blob).
//!
//! Each listens on a free port of this machine and is ended by its process id
//! when dropped. `tests/install-parts.sh` installs them; on a machine without
//! them a test is left out, loudly, and fails where `CI` is set.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(60);

/// The name and key of Azurite's account; they are the same everywhere, see
/// <https://learn.microsoft.com/azure/storage/common/storage-use-azurite>.
pub const AZURITE_ACCOUNT: &str = "devstoreaccount1";
/// See [`AZURITE_ACCOUNT`].
pub const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The part's program, or `None` with a loud note when this machine does not
/// have it.
///
/// # Panics
/// When it is missing and the environment variable `CI` is set.
#[expect(clippy::print_stderr, reason = "a test that is left out must say so")]
pub fn require(part: &str) -> Option<PathBuf> {
    let found = find(part);
    if found.is_none() {
        assert!(!is_set("CI"), "{part} is missing; run tests/install-parts.sh");
        eprintln!("SKIPPED: {part} is not installed; run tests/install-parts.sh");
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "tests find their parts through the environment")]
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

fn is_set(name: &str) -> bool {
    env(name).is_some()
}

fn find(part: &str) -> Option<PathBuf> {
    // VARVE_AZURITE for azurite-blob, VARVE_MOTO for moto_server, and so on.
    let short = part.split(['-', '_']).next().unwrap_or(part).to_uppercase();
    if let Some(path) = env(&format!("VARVE_{short}")) {
        return Some(PathBuf::from(path));
    }
    let on_path = env("PATH").unwrap_or_default();
    let tools = env("VARVE_TOOLS")
        .or_else(|| env("HOME").map(|home| format!("{home}/.cache/varve-tools")))
        .unwrap_or_default();
    let folders = on_path.split(':').map(PathBuf::from);
    let own = [Path::new(&tools).join("node_modules/.bin"), Path::new(&tools).join("bin")];
    folders.chain(own).map(|folder| folder.join(part)).find(|path| path.is_file())
}

/// A server in a process of its own, ended when dropped.
pub struct Server {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Server {
    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, as `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts `program` with the arguments made from a free port and an empty
    /// folder, and waits until it accepts connections.
    fn start(
        program: &Path,
        arguments: impl Fn(u16, &Path) -> Vec<String>,
    ) -> std::io::Result<Self> {
        // A port that is free now may be taken by somebody else a moment later;
        // then the server ends and another port is tried.
        let mut last = std::io::Error::other("server was not started");
        for _ in 0..5 {
            let dir = TempDir::new()?;
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let child = Command::new(program)
                .args(arguments(port, dir.path()))
                .current_dir(dir.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            let mut server = Self { child, port, _dir: dir };
            match server.wait() {
                Ok(()) => return Ok(server),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn wait(&mut self) -> std::io::Result<()> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Err(std::io::Error::other(format!("server ended with {status}")));
            }
            if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(std::io::Error::other("server accepts no connection"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // By its own handle only: other tests have servers of the same name.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts moto and makes an S3 bucket in it. `None` when moto is missing.
pub fn moto(bucket: &str) -> Option<std::io::Result<Server>> {
    let program = require("moto_server")?;
    Some((|| {
        let arguments = |port: u16, _: &Path| {
            vec!["-H".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()]
        };
        let server = Server::start(&program, arguments)?;
        let answer = request(server.port, "PUT", &format!("/{bucket}"), &[])?;
        expect_ok(&answer)?;
        Ok(server)
    })())
}

/// Starts azurite and makes a container in it. `None` when azurite, or the
/// node that it runs on, is missing.
pub fn azurite(container: &str) -> Option<std::io::Result<Server>> {
    let program = require("azurite-blob")?;
    let node = require("node")?;
    Some((|| {
        let arguments = |port: u16, dir: &Path| {
            let location = dir.display().to_string();
            let port = port.to_string();
            let fixed = ["--silent", "--skipApiVersionCheck", "--blobHost", "127.0.0.1"];
            let mut all: Vec<String> = fixed.map(str::to_owned).to_vec();
            all.extend(["--blobPort".to_owned(), port, "-l".to_owned(), location]);
            all
        };
        let server = Server::start(&program, arguments)?;
        make_container(&node, server.port, container)?;
        Ok(server)
    })())
}

/// Creates a container. The request must be signed with HMAC-SHA256; node has
/// that, and azurite needs node anyhow.
fn make_container(node: &Path, port: u16, container: &str) -> std::io::Result<()> {
    const SCRIPT: &str = r#"
const [account, key, port, container] = process.argv.slice(1);
const date = new Date().toUTCString(), version = '2021-08-06';
const text = ['PUT','','','','','','','','','','','',
  `x-ms-date:${date}`, `x-ms-version:${version}`,
  `/${account}/${account}/${container}`, 'restype:container'].join('\n');
const hash = require('crypto').createHmac('sha256', Buffer.from(key, 'base64'));
const signature = hash.update(text, 'utf8').digest('base64');
require('http').request({ host: '127.0.0.1', port, method: 'PUT',
  path: `/${account}/${container}?restype=container`,
  headers: { 'x-ms-date': date, 'x-ms-version': version, 'content-length': 0,
    authorization: `SharedKey ${account}:${signature}` } },
  (answer) => process.exit(answer.statusCode === 201 ? 0 : 1)).end();
"#;
    let status = Command::new(node)
        .args(["-e", SCRIPT, AZURITE_ACCOUNT, AZURITE_KEY, &port.to_string(), container])
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(std::io::Error::other(format!("container {container:?} was not created: {status}")))
}

/// Makes one HTTP/1.1 request to 127.0.0.1 and returns the whole answer.
fn request(port: u16, method: &str, path: &str, body: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(START))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    )?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn expect_ok(answer: &str) -> std::io::Result<()> {
    if answer.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    let first = answer.lines().next().unwrap_or_default();
    Err(std::io::Error::other(format!("unexpected answer {first:?}")))
}
