//! A Google Cloud Storage in memory: as much of its XML API as `object_store`
//! uses, conditional puts included.
//!
//! Objects are at `/bucket/key`, where the key is one percent-encoded segment.
//! Facts: <https://cloud.google.com/storage/docs/xml-api/reference-methods>.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use bytes::{Bytes, BytesMut};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// Objects in one page of a listing: few, so that tests see several pages.
const PAGE: usize = 50;

/// A running fake; dropping it ends the server and forgets the objects.
pub struct FakeGcs {
    url: String,
    requests: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Object>,
    uploads: HashMap<String, BTreeMap<u32, Bytes>>,
    generation: u64,
}

struct Object {
    bytes: Bytes,
    generation: u64,
    modified: u64,
}

#[derive(Clone, Default)]
struct Shared {
    store: Arc<Mutex<Store>>,
    requests: Arc<AtomicU64>,
}

impl FakeGcs {
    /// Starts one on a free port of this machine. Buckets need no creation.
    pub async fn start() -> std::io::Result<Self> {
        let shared = Shared::default();
        let requests = shared.requests.clone();
        let app =
            Router::new().fallback(handle).layer(DefaultBodyLimit::disable()).with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            // It ends when the task is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, requests, server })
    }

    /// Its address, as `http://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The value of `google_service_account_key` that leads to it, without a
    /// token from anywhere.
    pub fn service_account_key(&self) -> String {
        format!(
            r#"{{"gcs_base_url":"{}","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}}"#,
            self.url
        )
    }

    /// Number of requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for FakeGcs {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn handle(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let query: HashMap<String, String> = parse_query(uri.query().unwrap_or(""));
    let path = uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let mut store = shared.store.lock().await;
    if key.is_empty() {
        return list(&store, &format!("{bucket}/"), &query);
    }
    let key = format!("{bucket}/{}", decode(key));
    match method {
        Method::PUT | Method::POST => write(&mut store, key, &method, &query, &headers, body),
        Method::GET | Method::HEAD => read(&store, &key, &method, &headers),
        Method::DELETE => match query.get("uploadId") {
            Some(upload) => {
                store.uploads.remove(upload);
                status(StatusCode::NO_CONTENT)
            }
            None if store.objects.remove(&key).is_some() => status(StatusCode::NO_CONTENT),
            None => status(StatusCode::NOT_FOUND),
        },
        _ => status(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn write(
    store: &mut Store,
    key: String,
    method: &Method,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let upload = query.get("uploadId");
    let part = query.get("partNumber").and_then(|p| p.parse().ok());
    if query.contains_key("uploads") {
        store.generation += 1;
        let id = format!("upload-{}", store.generation);
        store.uploads.insert(id.clone(), BTreeMap::new());
        let xml = format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        return respond(Response::builder(), xml);
    }
    let bytes = match (upload, part) {
        (Some(upload), Some(part)) => {
            let Some(parts) = store.uploads.get_mut(upload) else {
                return status(StatusCode::NOT_FOUND);
            };
            parts.insert(part, body);
            return respond(Response::builder().header("etag", format!("\"p{part}\"")), "");
        }
        (Some(upload), None) => {
            let Some(parts) = store.uploads.remove(upload) else {
                return status(StatusCode::NOT_FOUND);
            };
            let all = parts.values().fold(BytesMut::new(), |mut all, part| {
                all.extend_from_slice(part);
                all
            });
            all.freeze()
        }
        _ => match headers.get("x-goog-copy-source").and_then(|v| v.to_str().ok()) {
            Some(source) => match store.objects.get(&decode(source)) {
                Some(object) => object.bytes.clone(),
                None => return status(StatusCode::NOT_FOUND),
            },
            None => body,
        },
    };
    let wanted = headers.get("x-goog-if-generation-match").and_then(|v| v.to_str().ok());
    let found = store.objects.get(&key).map_or(0, |o| o.generation);
    if wanted.is_some_and(|wanted| wanted != found.to_string()) {
        return status(StatusCode::PRECONDITION_FAILED);
    }
    store.generation += 1;
    let generation = store.generation;
    store.objects.insert(key, Object { bytes, generation, modified: now_seconds() });
    let builder = Response::builder()
        .header("etag", format!("\"{generation}\""))
        .header("x-goog-generation", generation);
    let complete = method == Method::POST;
    let xml = if complete {
        format!(
            "<CompleteMultipartUploadResult><ETag>\"{generation}\"</ETag></CompleteMultipartUploadResult>"
        )
    } else {
        String::new()
    };
    respond(builder, xml)
}

fn read(store: &Store, key: &str, method: &Method, headers: &HeaderMap) -> Response<Body> {
    let Some(object) = store.objects.get(key) else { return status(StatusCode::NOT_FOUND) };
    let size = object.bytes.len();
    let mut builder = Response::builder()
        .header("etag", format!("\"{}\"", object.generation))
        .header("x-goog-generation", object.generation)
        .header("last-modified", http_date(object.modified));
    if method == Method::HEAD {
        return respond(builder.header("content-length", size), "");
    }
    let range = headers.get("range").and_then(|v| v.to_str().ok());
    let Some(range) = range.and_then(|r| r.strip_prefix("bytes=")) else {
        return respond(builder, object.bytes.clone());
    };
    let (start, end) = range.split_once('-').unwrap_or((range, ""));
    let start: usize = start.parse().unwrap_or(0);
    let end = end.parse().map_or(size, |last: usize| (last + 1).min(size));
    if start >= end {
        return status(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let content = format!("bytes {start}-{}/{size}", end - 1);
    builder = builder.status(StatusCode::PARTIAL_CONTENT).header("content-range", content);
    respond(builder, object.bytes.slice(start..end))
}

fn list(store: &Store, bucket: &str, query: &HashMap<String, String>) -> Response<Body> {
    let get = |name: &str| query.get(name).map_or("", String::as_str);
    let (prefix, delimiter) = (get("prefix"), get("delimiter"));
    let after = match get("continuation-token") {
        "" => get("start-after"),
        token => token,
    };
    let mut contents = String::new();
    let mut prefixes: Vec<&str> = Vec::new();
    let (mut count, mut last, mut next) = (0, "", "");
    for (key, object) in store.objects.range(bucket.to_owned()..) {
        let Some(key) = key.strip_prefix(bucket) else { break };
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let common = if delimiter.is_empty() { None } else { rest.find(delimiter) };
        let shown = common.map_or(key, |at| &key[..prefix.len() + at + delimiter.len()]);
        if shown <= after || prefixes.last() == Some(&shown) {
            continue;
        }
        if count == PAGE {
            next = last;
            break;
        }
        (count, last) = (count + 1, shown);
        if common.is_some() {
            prefixes.push(shown);
            continue;
        }
        let (size, generation) = (object.bytes.len(), object.generation);
        let _ = write!(
            contents,
            "<Contents><Key>{}</Key><Size>{size}</Size><LastModified>{}</LastModified>\
             <ETag>\"{generation}\"</ETag></Contents>",
            escape(key),
            iso_date(object.modified),
        );
    }
    for prefix in prefixes {
        let prefix = escape(prefix);
        let _ = write!(contents, "<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>");
    }
    if !next.is_empty() {
        let next = escape(next);
        let _ = write!(contents, "<NextContinuationToken>{next}</NextContinuationToken>");
    }
    respond(Response::builder(), format!("<ListBucketResult>{contents}</ListBucketResult>"))
}

fn status(code: StatusCode) -> Response<Body> {
    respond(Response::builder().status(code), "")
}

fn respond(builder: axum::http::response::Builder, body: impl Into<Body>) -> Response<Body> {
    builder.body(body.into()).expect("the headers of the fake are valid")
}

fn parse_query(query: &str) -> HashMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(&value.replace('+', " ")))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let pair = (byte == b'%').then(|| (bytes.next(), bytes.next()));
        let hex = |b: u8| (b as char).to_digit(16);
        match pair {
            Some((Some(high), Some(low))) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
                _ => out.extend([b'%', high, low]),
            },
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[expect(clippy::disallowed_methods, reason = "objects are stamped with the real time")]
fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Year, month, day, hour, minute, second, and the day of the week (0 =
/// Thursday) of a Unix time. The calendar is Howard Hinnant's `civil_from_days`.
fn civil(seconds: u64) -> (u64, u64, u64, u64, u64, u64, usize) {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day, rest / 3600, rest / 60 % 60, rest % 60, (days % 7) as usize)
}

fn http_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, h, m, s, weekday) = civil(seconds);
    let (weekday, month) = (DAYS[weekday], MONTHS[(month - 1) as usize]);
    format!("{weekday}, {day:02} {month} {year} {h:02}:{m:02}:{s:02} GMT")
}

fn iso_date(seconds: u64) -> String {
    let (year, month, day, h, m, s, _) = civil(seconds);
    format!("{year}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.000Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(iso_date(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(decode("a%2Fb%20c%zz%4"), "a/b c%zz%");
    }
}
