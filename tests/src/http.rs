//! Plain HTTP for tests: blocking, with the status and body of every answer.

use std::collections::HashMap;
use std::time::Duration;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status; 0 when there was no answer.
    pub status: u16,
    /// Headers by lower-case name.
    pub headers: HashMap<String, String>,
    /// The body as text.
    pub body: String,
}

impl Response {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("build a runtime")
}

/// Sends a request and waits for its answer, a minute at most.
pub fn send(request: reqwest::RequestBuilder) -> Response {
    runtime().block_on(exchange(request.timeout(Duration::from_secs(60))))
}

/// Sends a request; no whole answer is the status 0.
pub(crate) async fn exchange(request: reqwest::RequestBuilder) -> Response {
    let sent = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = |v: &reqwest::header::HeaderValue| v.to_str().unwrap_or_default().to_owned();
        let headers =
            response.headers().iter().map(|(k, v)| (k.as_str().to_owned(), text(v))).collect();
        let body = response.text().await?;
        Ok::<_, reqwest::Error>(Response { status, headers, body })
    };
    sent.await.unwrap_or_else(|e| Response {
        status: 0,
        headers: HashMap::new(),
        body: format!("{e:?}"),
    })
}

/// A client that keeps no connection, so that a restarted server is found anew.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("build a client")
}

/// GET with query parameters.
pub fn get(url: &str, params: &[(&str, &str)]) -> Response {
    send(client().get(url).query(params))
}

/// POST of a form.
pub fn post(url: &str, params: &[(&str, &str)]) -> Response {
    send(client().post(url).form(params))
}
