//! Who is asked: Varve, the judge, and a jury for answers that may differ by
//! rounding: judges who hold the same data in another order, moved by one
//! unit in the last place.

use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::data::Data;
use crate::client::{Client, V2};
use crate::oracle::{Oracle, OracleOptions};
use crate::varve::Varve;

/// Judges of a jury.
const JURORS: u64 = 5;

/// Where a server takes samples and answers queries.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its base URL.
    pub url: String,
    /// The path that takes remote write 2.0.
    pub write_path: String,
}

impl Server {
    /// Sends data and waits until they are taken.
    ///
    /// # Errors
    /// What the server answered instead.
    pub fn write(&self, requests: &[Vec<u8>]) -> Result<(), String> {
        let client = client();
        let url = format!("{}{}", self.url, self.write_path);
        for (i, body) in requests.iter().enumerate() {
            let answer = client.write(&url, V2, body.clone());
            if answer.status / 100 != 2 {
                return Err(format!("{url}: request {i}: {} {}", answer.status, answer.body));
            }
        }
        Ok(())
    }
}

/// A client that keeps its connections.
pub fn client() -> Client {
    Client::new("anonymous", Duration::from_secs(120))
}

/// A pair of servers, and a jury that is called when it is needed.
pub struct Court<'a> {
    /// Who is judged.
    pub ours: Server,
    /// Who judges.
    pub judge: Server,
    jury: OnceLock<Vec<String>>,
    call_jury: Box<dyn Fn() -> Vec<String> + Sync + 'a>,
}

impl<'a> Court<'a> {
    /// Two servers that hold the same; `call_jury` gives the URLs of others
    /// that hold what [`Data::moved`] gives, or none.
    pub fn new(
        ours: Server,
        judge: Server,
        call_jury: impl Fn() -> Vec<String> + Sync + 'a,
    ) -> Self {
        Self { ours, judge, jury: OnceLock::new(), call_jury: Box::new(call_jury) }
    }

    /// The jury's URLs.
    pub fn jury(&self) -> &[String] {
        self.jury.get_or_init(|| (self.call_jury)())
    }
}

/// The names of everything that the oracle's `-all-features` turns on.
const FEATURES: &str = "[promql-experimental-functions, promql-extended-range-selectors, promql-binop-fill-modifiers, promql-delayed-name-removal, use-start-timestamps]";

/// Varve and the judge as processes of this machine, one seed's data in each.
pub struct Pair<'a> {
    dir: &'a Path,
    data: &'a Data,
    options: OracleOptions,
    varve: Varve,
    judge: Oracle,
    jurors: Mutex<Vec<Oracle>>,
}

impl<'a> Pair<'a> {
    /// Starts both in `dir`; `None` when there is no Go. `features` turns on
    /// all of the language.
    pub fn start(binary: &str, dir: &'a Path, data: &'a Data, features: bool) -> Option<Self> {
        let options = OracleOptions { all_features: features, ..OracleOptions::default() };
        let judge = Oracle::start(dir, &options)?;
        let features = if features { format!(", features: {FEATURES}") } else { String::new() };
        let config = format!(
            "ingester: {{hold: 0, seal_interval: 1s}}\nquerier: {{max_concurrent: 100{features}}}\n"
        );
        let varve = Varve::new(binary, "varve", dir).config(&config).started();
        Some(Self { dir, data, options, varve, judge, jurors: Mutex::default() })
    }

    /// Varve's address.
    pub fn ours(&self) -> Server {
        Server { url: self.varve.url(""), write_path: "/api/v1/write".to_owned() }
    }

    /// The judge's address.
    pub fn judge(&self) -> Server {
        server(&self.judge)
    }

    /// Ships to blocks what Varve holds.
    pub fn ship(&self) {
        self.varve.ship();
    }

    /// Starts the jury. Its processes end with the pair.
    pub fn jury(&self) -> Vec<String> {
        let mut jurors = self.jurors.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (0..JURORS)
            .filter_map(|i| {
                let dir = self.dir.join(format!("juror-{i}"));
                std::fs::create_dir_all(&dir).expect("make a folder");
                let juror = Oracle::start(&dir, &self.options)?;
                server(&juror).write(&self.data.moved(i).requests()).expect("a juror takes data");
                let url = juror.url().to_owned();
                jurors.push(juror);
                Some(url)
            })
            .collect()
    }
}

fn server(oracle: &Oracle) -> Server {
    Server { url: oracle.url().to_owned(), write_path: "/append".to_owned() }
}
