//! Fakes that remember what they were asked and answer what the query says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use futures::StreamExt;
use prometheus::Registry;
use varve_model::{
    Counts, ErrorKind, Exemplar, FloatSamples, Histogram, HistogramSamples, Labels, Matcher,
    Metadata, MetricType, ResetHint, Series, Span, TenantId, TimeRange,
};
use varve_promql::ast;
use varve_promql::explain::{Cost, PlanNode};
use varve_promql::source::{Charge, Decoded, MemoryBudget, OverBudget};
use varve_promql::value::{InstantSample, QueryValue, Value};
use varve_runtime::ManualClock;

use crate::{
    Admin, Answer, BlockSummary, BuildInfo, InstantQuery, MetadataQuery, ProcessInfo, Querier,
    Query, QueryError, RangeQuery, ReadLimits, RequestRoom, SeriesExemplars, SeriesQuery,
    SeriesStream, Services, Stats, WriteReply, WriteRequest, Writer, router,
};

/// What the fakes were asked, newest last.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn push(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    pub(crate) fn last(&self) -> String {
        self.0.lock().unwrap().last().cloned().unwrap_or_default()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

pub(crate) fn fixture() -> (Router, Seen) {
    let seen = Seen::default();
    let fake = Arc::new(Fake(seen.clone()));
    let services = Services {
        writer: Some(fake.clone()),
        querier: Some(fake.clone()),
        admin: fake,
        registry: Registry::new(),
        clock: Arc::new(ManualClock::new(1_700_000_000_123)),
        build: BuildInfo { version: "9.9.9".to_owned(), revision: "abc".to_owned() },
        process: ProcessInfo {
            folder: "/here".to_owned(),
            host: "one".to_owned(),
            cores: 2,
            retention: "15d".to_owned(),
        },
        max_write_body: 1000,
    };
    (router(services).unwrap(), seen)
}

struct Fake(Seen);

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn histogram() -> Arc<Histogram> {
    Arc::new(Histogram {
        schema: 0,
        zero_threshold: 0.001,
        sum: 5.0,
        reset_hint: ResetHint::Unknown,
        positive_spans: vec![Span { offset: 1, length: 1 }],
        negative_spans: Vec::new(),
        custom_bounds: Vec::new(),
        counts: Counts::Float { count: 2.0, zero: 0.0, positive: vec![2.0], negative: Vec::new() },
    })
}

fn sample(name: &str, time_ms: i64, value: Value) -> InstantSample {
    InstantSample { labels: labels(&[("__name__", name)]), time_ms, value }
}

/// Queries that are errors, by their text.
fn failure(text: &str) -> Option<QueryError> {
    let kind = match text {
        "err_execution" => ErrorKind::Execution,
        "err_timeout" => ErrorKind::Timeout,
        "err_canceled" => ErrorKind::Canceled,
        "err_internal" => ErrorKind::Internal,
        "err_unavailable" => ErrorKind::Unavailable,
        "err_limited" => ErrorKind::Limited,
        "err_panic" => panic!("on request"),
        _ => return None,
    };
    Some(QueryError::new(kind, text))
}

fn plan(text: &str) -> PlanNode {
    let cost = Cost { series: 2, samples: 8, bytes: 9, requests: 1, memory: 64, seconds: 0.25 };
    PlanNode {
        operator: "select",
        span: ast::Span { start: 0, end: 2 },
        text: text.to_owned(),
        steps: 1,
        estimated: cost,
        measured: Some(Cost { series: 1, ..cost }),
        parts: Vec::new(),
    }
}

fn decorate(query: &Query, value: QueryValue) -> Answer<QueryValue> {
    let many = if query.text == "annotated" { 12 } else { 0 };
    Answer {
        value,
        warnings: (0..many).map(|i| format!("PromQL warning: {i} (1:1)")).collect(),
        infos: if many > 0 { vec!["PromQL info: \"x\"".to_owned()] } else { Vec::new() },
        coverage: Some("{\"complete\":true}".to_owned()),
        held: None,
        stats: (query.stats != Stats::None)
            .then(|| serde_json::json!({"timings": {"evalTotalTime": 0.5}})),
        analysis: query.analyze.then(|| plan(&query.text)),
    }
}

#[async_trait]
impl Querier for Fake {
    async fn instant(
        &self,
        tenant: TenantId,
        q: InstantQuery,
    ) -> Result<Answer<QueryValue>, QueryError> {
        let query = &q.query;
        self.0.push(format!(
            "{tenant} instant {} at {} timeout {:?} lookback {:?}",
            query.expr, q.time, query.timeout, query.lookback
        ));
        if let Some(e) = failure(&query.text) {
            return Err(e);
        }
        let value = match query.text.as_str() {
            "scalar(x)" => QueryValue::Scalar { time_ms: q.time, value: f64::NEG_INFINITY },
            "\"text\"" => QueryValue::String { time_ms: q.time, value: b"te\"xt".to_vec() },
            _ => QueryValue::Vector(vec![
                sample("a", q.time, Value::Float(1.5)),
                sample("b", q.time, Value::Histogram(histogram())),
            ]),
        };
        Ok(decorate(query, value))
    }

    async fn range(
        &self,
        tenant: TenantId,
        q: RangeQuery,
    ) -> Result<Answer<QueryValue>, QueryError> {
        self.0.push(format!(
            "{tenant} range {} from {} to {} step {}",
            q.query.expr, q.start, q.end, q.step
        ));
        let mut floats = FloatSamples::default();
        floats.push(1000, 1.0, 0);
        floats.push(2500, f64::NAN, 0);
        let mut histograms = HistogramSamples::default();
        histograms.push(3000, histogram(), 0);
        let series = |name| Series {
            labels: labels(&[("__name__", name), ("l", "v")]),
            floats: floats.clone(),
            histograms: histograms.clone(),
        };
        Ok(decorate(&q.query, QueryValue::Matrix(vec![series("a"), series("b")])))
    }

    async fn explain(
        &self,
        tenant: TenantId,
        q: RangeQuery,
    ) -> Result<Answer<PlanNode>, QueryError> {
        self.0.push(format!("{tenant} explain {} step {}", q.query.expr, q.step));
        Ok(plan(&q.query.text).into())
    }

    fn read_limits(&self) -> ReadLimits {
        ReadLimits { max_samples: 500, frame_bytes: 300, stalled: Duration::from_secs(1) }
    }

    async fn read(
        &self,
        tenant: TenantId,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> Result<SeriesStream, QueryError> {
        self.0.push(format!("{tenant} read {matchers:?} {} {}", range.start, range.end));
        let names: Vec<String> = matchers.iter().map(|m| m.value().to_owned()).collect();
        if let Some(e) = names.first().and_then(|name| failure(name)) {
            return Err(e);
        }
        let budget: Arc<dyn MemoryBudget> = Arc::new(Bytes(1 << 20));
        let charges = Arc::clone(&budget);
        let batch = move |name: String| {
            let charge = Charge::take(&charges, 0).map_err(|e| over(e.to_string()))?;
            if name == "broken" {
                return Err(over("broken".to_owned()));
            }
            let mut floats = FloatSamples::default();
            (0..400).for_each(|i| floats.push(i * 1000, (i as f64).sin(), 0));
            let mut histograms = HistogramSamples::default();
            histograms.push(500_000, histogram(), 0);
            let series = Series { labels: labels(&[("__name__", &name)]), floats, histograms };
            Ok(Decoded { series: vec![series], charge })
        };
        let batches = futures::stream::iter(names.into_iter().map(batch)).boxed();
        Ok(SeriesStream { batches, budget })
    }

    async fn exemplars(
        &self,
        tenant: TenantId,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> Result<Answer<Vec<SeriesExemplars>>, QueryError> {
        self.0.push(format!("{tenant} exemplars {selectors:?} {} {}", range.start, range.end));
        let exemplar =
            Exemplar { labels: labels(&[("trace_id", "t")]), value: 0.25, timestamp: 1500 };
        let series =
            SeriesExemplars { labels: labels(&[("__name__", "a")]), exemplars: vec![exemplar] };
        Ok(vec![series].into())
    }

    async fn series(
        &self,
        tenant: TenantId,
        q: SeriesQuery,
    ) -> Result<Answer<Vec<Labels>>, QueryError> {
        self.0.push(format!("{tenant} series {q:?}"));
        Ok(vec![labels(&[("__name__", "a")]), labels(&[("__name__", "b"), ("l", "v")])].into())
    }

    async fn labels(
        &self,
        tenant: TenantId,
        q: SeriesQuery,
    ) -> Result<Answer<Vec<String>>, QueryError> {
        self.0.push(format!("{tenant} labels {q:?}"));
        Ok(vec!["__name__".to_owned(), "l".to_owned()].into())
    }

    async fn label_values(
        &self,
        tenant: TenantId,
        name: String,
        q: SeriesQuery,
    ) -> Result<Answer<Vec<String>>, QueryError> {
        self.0.push(format!("{tenant} values of {name} {q:?}"));
        Ok(Vec::new().into())
    }

    async fn blocks(&self, tenant: TenantId) -> Result<Answer<Vec<BlockSummary>>, QueryError> {
        self.0.push(format!("{tenant} blocks"));
        let id = "01KABC".to_owned();
        let (min_time, max_time, samples, series) = (1000, 2000, 7, 3);
        let sources = vec![id.clone()];
        Ok(vec![BlockSummary { id, min_time, max_time, samples, series, level: 0, sources }].into())
    }

    async fn metadata(
        &self,
        tenant: TenantId,
        q: MetadataQuery,
    ) -> Result<Answer<BTreeMap<String, Vec<Metadata>>>, QueryError> {
        self.0.push(format!("{tenant} metadata {q:?}"));
        let entry = |kind, help: &str| Metadata { kind, help: help.into(), unit: "s".into() };
        let a = vec![entry(MetricType::Counter, "one"), entry(MetricType::Gauge, "two")];
        let b = vec![entry(MetricType::GaugeHistogram, "b")];
        Ok(BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]).into())
    }
}

fn over(what: String) -> QueryError {
    QueryError::new(ErrorKind::Execution, what)
}

/// A budget that only knows single requests.
struct Bytes(usize);

impl MemoryBudget for Bytes {
    fn take(&self, asked: usize) -> Result<(), OverBudget> {
        let (scope, limit, setting) = ("query", self.0, "fake.limit");
        match asked <= limit {
            true => Ok(()),
            false => Err(OverBudget { scope, limit, used: 0, asked, setting, biggest: None }),
        }
    }

    fn give(&self, _: usize) {}
}

/// Room for so many bytes.
struct Small(u64);

impl RequestRoom for Small {
    fn grow(&mut self, bytes: u64) -> Result<(), WriteReply> {
        let left = self.0.checked_sub(bytes).ok_or_else(|| WriteReply {
            status: 503,
            message: "no room".to_owned(),
            retry_after: Some(Duration::from_secs(3)),
            ..WriteReply::default()
        });
        left.map(|left| self.0 = left)
    }
}

#[async_trait]
impl Writer for Fake {
    fn room(&self, _: &TenantId) -> Box<dyn RequestRoom> {
        Box::new(Small(900))
    }

    async fn write(
        &self,
        tenant: TenantId,
        request: WriteRequest,
        _: &mut dyn RequestRoom,
    ) -> WriteReply {
        self.0.push(format!("{tenant} write {:?} {} bytes", request.protocol, request.body.len()));
        let reply = WriteReply { samples: 3, histograms: 2, exemplars: 1, ..WriteReply::default() };
        match &request.body[..] {
            b"bad" => WriteReply { status: 400, message: "out of order".to_owned(), ..reply },
            b"busy" => WriteReply {
                status: 503,
                message: "no leader".to_owned(),
                retry_after: Some(Duration::from_millis(1200)),
                ..WriteReply::default()
            },
            _ => WriteReply { status: 204, ..reply },
        }
    }
}

#[async_trait]
impl Admin for Fake {
    async fn ready(&self) -> Result<(), String> {
        if self.0.count() == 0 { Err("replaying the log".to_owned()) } else { Ok(()) }
    }

    fn config_yaml(&self) -> String {
        "bucket: memory://\nsecret: <secret>\n".to_owned()
    }

    async fn ship(&self) -> Result<Vec<String>, QueryError> {
        self.0.push("ship".to_owned());
        Ok(vec!["01J".to_owned()])
    }
}
