//! A client with a tenant that keeps its connections: for tests that send and
//! ask thousands of times.

use std::time::Duration;

use serde_json::Value;

use crate::http::{self, Response};

/// Content type of remote write 1.0.
pub const V1: &str = "application/x-protobuf;proto=prometheus.WriteRequest";
/// Content type of remote write 2.0.
pub const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// A blocking client of one tenant; one request at a time.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    tenant: String,
    timeout: Duration,
}

impl Client {
    /// A client whose requests take `timeout` at most.
    pub fn new(tenant: &str, timeout: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            runtime: runtime.expect("build a runtime"),
            client: reqwest::Client::new(),
            tenant: tenant.to_owned(),
            timeout,
        }
    }

    /// Sends a body that is compressed already.
    pub fn write(&self, url: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self
            .client
            .post(url)
            .header("Content-Type", content_type)
            .header("Content-Encoding", "snappy")
            .body(body);
        self.send(request)
    }

    /// GET with query parameters.
    pub fn get(&self, url: &str, params: &[(&str, &str)]) -> Response {
        self.send(self.client.get(url).query(params))
    }

    /// POST of a form.
    pub fn post_form(&self, url: &str, params: &[(&str, &str)]) -> Response {
        self.send(self.client.post(url).form(params))
    }

    /// The `data` of an instant query; the answer itself when it is no 200.
    ///
    /// # Errors
    /// The answer, when its status is not 200.
    pub fn query(&self, base: &str, query: &str, time_s: i64) -> Result<Value, Response> {
        let time = time_s.to_string();
        let answer =
            self.get(&format!("{base}/api/v1/query"), &[("query", query), ("time", time.as_str())]);
        if answer.status == 200 { Ok(answer.json()["data"].take()) } else { Err(answer) }
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Response {
        let request = request.header("X-Scope-OrgID", &self.tenant).timeout(self.timeout);
        self.runtime.block_on(http::exchange(request))
    }
}
