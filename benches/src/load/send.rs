//! Sending feeds to a server, each by its own connection, as Prometheus does:
//! one request at a time, 5xx and lost connections retried, the rest dropped.

use std::io;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::feed::{Feed, Request};
use super::http::{Connection, split};

/// Headers of remote write 1.0.
const HEADERS: &str = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
    X-Prometheus-Remote-Write-Version: 0.1.0\r\nUser-Agent: varve-load\r\n";
/// The first pause before a request is repeated, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(30), Duration::from_secs(5));
/// Scrapes that one connection may be ahead of another: they go through time
/// together, as targets of one server do.
const LEAD: u64 = 4;

/// How to send.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Where to.
    pub url: String,
    /// More header lines, each with its line's end.
    pub headers: String,
    /// How many times faster than real time; none: as fast as accepted.
    pub speed: Option<f64>,
    /// The time of the first sample, from which `speed` counts.
    pub first_ms: i64,
    /// The first scrape that is sent; those before are made, not sent.
    pub first_scrape: u64,
    /// How long one request is repeated before all is given up.
    pub give_up: Duration,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Requests that were answered for good.
    pub requests: u64,
    /// Samples of requests answered by 2xx.
    pub acknowledged: u64,
    /// Samples of requests answered by 4xx.
    pub refused: u64,
    /// Requests that were repeated.
    pub retries: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// What the first refusal said.
    pub refusal: Option<String>,
    /// How long each request took, repetitions included, in µs.
    pub micros: Vec<u32>,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.retries += other.retries;
        self.bytes += other.bytes;
        self.refusal = self.refusal.take().or(other.refusal);
        self.micros.extend(other.micros);
    }
}

/// Sends all feeds, and returns when every request has its answer.
///
/// # Errors
/// When a request has been repeated for too long.
pub fn send(feeds: Vec<Box<dyn Feed>>, manner: &Manner) -> io::Result<Outcome> {
    let begun = Instant::now();
    let (address, path) = split(&manner.url)?;
    let front = Front::new(feeds.len());
    let mut total = Outcome::default();
    std::thread::scope(|scope| {
        let start = |(turn, feed): (usize, Box<dyn Feed>)| {
            let (address, path, front) = (&address, &path, &front);
            scope.spawn(move || {
                let connection = Connection::new(address, Duration::from_secs(30));
                let mut sender =
                    Sender { connection, path, manner, begun, outcome: Outcome::default() };
                let result = sender.run(feed, turn, front);
                front.reach(turn, u64::MAX);
                result.map(|()| sender.outcome)
            })
        };
        let threads: Vec<_> = feeds.into_iter().enumerate().map(start).collect();
        for thread in threads {
            let failed = |_| io::Error::other("a sending thread has failed");
            total.add(thread.join().map_err(failed)??);
        }
        Ok(total)
    })
}

struct Sender<'a> {
    connection: Connection,
    path: &'a str,
    manner: &'a Manner,
    begun: Instant,
    outcome: Outcome,
}

impl Sender<'_> {
    fn run(&mut self, mut feed: Box<dyn Feed>, turn: usize, front: &Front) -> io::Result<()> {
        let mut scrape = 0;
        while let Some(request) = feed.next()? {
            if request.scrape < self.manner.first_scrape {
                continue;
            }
            if request.scrape > scrape {
                scrape = request.scrape;
                front.reach(turn, scrape);
            }
            if let Some(speed) = self.manner.speed {
                let after = (request.newest_ms - self.manner.first_ms).max(0) as f64 / 1000.0;
                let due = Duration::from_secs_f64(after / speed);
                std::thread::sleep(due.saturating_sub(self.begun.elapsed()));
            }
            self.one(&request)?;
        }
        Ok(())
    }

    fn one(&mut self, request: &Request<'_>) -> io::Result<()> {
        let begun = Instant::now();
        let headers = format!("{HEADERS}{}", self.manner.headers);
        let mut backoff = BACKOFF.0;
        loop {
            let answer = self.connection.send("POST", self.path, &headers, request.body);
            let why = match answer {
                Ok(a) if a.status / 100 == 2 => {
                    self.outcome.acknowledged += request.samples;
                    break;
                }
                Ok(a) if a.status / 100 == 5 => {
                    let asked = Duration::from_secs(a.retry_after.unwrap_or(0));
                    backoff = backoff.max(asked);
                    format!("{}: {}", a.status, a.body)
                }
                Ok(a) => {
                    self.outcome.refused += request.samples;
                    self.outcome.refusal.get_or_insert(format!("{}: {}", a.status, a.body));
                    break;
                }
                Err(e) => e.to_string(),
            };
            if begun.elapsed() > self.manner.give_up {
                return Err(io::Error::other(format!("a request is repeated in vain: {why}")));
            }
            self.outcome.retries += 1;
            std::thread::sleep(backoff);
            backoff = (backoff * 2).min(BACKOFF.1);
        }
        self.outcome.requests += 1;
        self.outcome.bytes += request.body.len() as u64;
        self.outcome.micros.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
        Ok(())
    }
}

/// How far each connection has come, so that none runs away.
struct Front {
    reached: Mutex<Vec<u64>>,
    moved: Condvar,
}

impl Front {
    fn new(connections: usize) -> Self {
        Self { reached: Mutex::new(vec![0; connections]), moved: Condvar::new() }
    }

    /// Says that a connection begins a scrape; waits until no other is more
    /// than [`LEAD`] scrapes behind.
    fn reach(&self, turn: usize, scrape: u64) {
        let Ok(mut reached) = self.reached.lock() else { return };
        reached[turn] = scrape;
        self.moved.notify_all();
        while scrape != u64::MAX && reached.iter().any(|other| other.saturating_add(LEAD) < scrape)
        {
            match self.moved.wait(reached) {
                Ok(again) => reached = again,
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::super::cluster::{self, Plan};
    use super::super::kube::Shape;
    use super::*;

    /// Answers requests by turns with these, over one connection; returns the
    /// bodies that it got, decompressed.
    fn serve(listener: &TcpListener, answers: &[&str]) -> Vec<Vec<u8>> {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut writer, mut bodies) = (stream, Vec::new());
        let mut turn = answers.iter().cycle();
        loop {
            let (mut length, mut line) = (0, String::new());
            loop {
                line.clear();
                if reader.read_line(&mut line).unwrap() == 0 {
                    return bodies;
                }
                if let Some(n) = line.strip_prefix("Content-Length:") {
                    length = n.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            bodies.push(snap::raw::Decoder::new().decompress_vec(&body).unwrap());
            let answer = turn.next().unwrap();
            write!(writer, "HTTP/1.1 {answer}").unwrap();
        }
    }

    fn check(answers: &[&str], churn: f64, requests: u64, expected: (u64, u64, u64)) {
        let shape = Shape {
            pods: 4,
            seed: 7,
            start_ms: 1_795_000_000_000,
            interval_ms: 15_000,
            jitter_ms: 5,
            churn,
            rollout: None,
        };
        let plan = Plan { shape, scrapes: 3, request_samples: 200, connections: 1, native: 0.0 };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let manner = Manner {
            url: format!("http://{}/api/v1/write", listener.local_addr().unwrap()),
            headers: String::new(),
            speed: None,
            first_ms: 0,
            first_scrape: 0,
            give_up: Duration::from_secs(10),
        };
        std::thread::scope(|scope| {
            let server = scope.spawn(|| serve(&listener, answers));
            let outcome = send(cluster::feeds(&plan), &manner).unwrap();
            let bodies = server.join().unwrap();
            let got = (outcome.acknowledged, outcome.refused, outcome.retries);
            assert_eq!((outcome.requests, got), (requests, expected), "{answers:?}");
            let distinct: BTreeSet<_> = bodies.iter().collect();
            assert_eq!(distinct.len() as u64, requests, "repetitions are the same bytes");
        });
    }

    #[test]
    fn requests_are_repeated_or_dropped_as_prometheus_does() {
        let fine = "204 No Content\r\n\r\n";
        let busy = "503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
        let chunked = "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        let bad = "400 Bad\r\nContent-Length: 3\r\n\r\nbad";
        check(&[fine], 0.0, 6, (1200, 0, 0));
        check(&[busy, fine], 0.0, 6, (1200, 0, 6));
        check(&[bad, chunked], 0.0, 6, (600, 600, 0));
        // All four pods are replaced between the first and the second scrape,
        // and again: their stale markers go before the new ones.
        check(&[fine], 240.0, 10, (2000, 0, 0));
    }
}
