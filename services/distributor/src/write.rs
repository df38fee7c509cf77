//! One write, top to bottom: size, decompress, plan (decode, validate, look
//! up, shard), rate, forward, answer.
//!
//! When the answer counts a sample as written, it is on the disk of its
//! partition's ingester.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use varve_api::{Protocol, RequestRoom, WriteReply, WriteRequest, Writer};
use varve_model::TenantId;
use varve_runtime::{Clock, RateLimitedLog, Room, Share};
use varve_wire::remote_write::{Fingerprints, decompress, decompressed_len};

use crate::body::Body;
use crate::cache::References;
use crate::forward::{Forwarder, Outcome};
use crate::plan::{Plan, Planner};
use crate::rate::Rates;
use crate::shard::Shards;
use crate::validate::Times;
use crate::{Config, Deps, Limits, Metrics, Overrides, Partitions, WriteError, reply};

/// Memory that a request takes at most beside its body, as a multiple of its
/// length after decompression: those bytes, and what it is decoded to.
const MEMORY: u64 = 2;

/// Takes writes. See the crate's page.
pub struct Distributor {
    config: Config,
    partitions: Arc<dyn Partitions>,
    limits: watch::Receiver<Arc<Overrides>>,
    clock: Arc<dyn Clock>,
    fingerprints: Fingerprints,
    references: References,
    rates: Rates,
    inflight: Arc<Room>,
    metrics: Arc<Metrics>,
    refusals_log: RateLimitedLog,
    errors_log: RateLimitedLog,
}

/// What one request holds.
struct Arriving {
    share: Share,
    metrics: Arc<Metrics>,
    retry_after: Duration,
}

impl RequestRoom for Arriving {
    fn grow(&mut self, bytes: u64) -> Result<(), WriteReply> {
        self.share.grow(bytes).map_err(|e| {
            self.metrics.overloaded();
            reply::error(&WriteError::Overloaded(e), self.retry_after)
        })
    }
}

#[async_trait]
impl Writer for Distributor {
    fn room(&self, tenant: &TenantId) -> Box<dyn RequestRoom> {
        let share = self.inflight.share(tenant.as_str());
        let (metrics, retry_after) = (Arc::clone(&self.metrics), self.config.retry_after.0);
        Box::new(Arriving { share, metrics, retry_after })
    }

    async fn write(
        &self,
        tenant: TenantId,
        request: WriteRequest,
        room: &mut dyn RequestRoom,
    ) -> WriteReply {
        let started = self.clock.monotonic();
        let protocol = request.protocol;
        let reply = match self.take(&tenant, request, room).await {
            Ok(reply) => reply,
            Err(e) => {
                self.log_error(&tenant, &e);
                reply::error(&e, self.config.retry_after.0)
            }
        };
        let took = self.clock.monotonic().saturating_duration_since(started);
        let protocol = match protocol {
            Protocol::V1 => "1.0",
            Protocol::V2 => "2.0",
        };
        self.metrics.request(protocol, reply.status, took.as_secs_f64());
        self.metrics.cached(self.references.len());
        reply
    }
}

impl Distributor {
    pub(crate) fn new(config: Config, deps: Deps, metrics: Metrics) -> Self {
        let every = Duration::from_secs(10);
        Self {
            references: References::new(config.reference_cache.0),
            inflight: Room::new(config.inflight.0),
            config,
            partitions: deps.partitions,
            limits: deps.limits,
            clock: deps.clock,
            fingerprints: Fingerprints::new(deps.fingerprint_key),
            rates: Rates::default(),
            metrics: Arc::new(metrics),
            refusals_log: RateLimitedLog::new(every),
            errors_log: RateLimitedLog::new(every),
        }
    }

    /// The story of one request.
    async fn take(
        &self,
        tenant: &TenantId,
        request: WriteRequest,
        room: &mut dyn RequestRoom,
    ) -> Result<WriteReply, WriteError> {
        let deadline = tokio::time::Instant::now() + self.config.request_timeout.0;
        let limits = self.limits.borrow().tenant(tenant).clone();
        let body = match self.open(tenant, &request, &limits, room)? {
            Ok(body) => body,
            Err(refused) => return Ok(refused),
        };
        let count = self.partitions.count();
        let shards = Shards::new(tenant, count, limits.partitions);
        let generation = limits.generation(count);
        let plan = self.plan(tenant, &body, &limits, &shards, generation)?;

        let received = plan.received;
        self.metrics.received(received);
        self.metrics.lookups(plan.lookups);
        self.check_rate(tenant, &limits, received)?;

        let forwarder = Forwarder {
            partitions: &*self.partitions,
            references: &self.references,
            metrics: &self.metrics,
            body: &body,
            generation,
            max_series: limits.max_series.div_ceil(shards.len().max(1)),
            out_of_order_window_ms: limits.out_of_order_window.as_ms(),
            deadline,
            backoff: self.config.retry_backoff.0,
        };
        let mut outcome = forwarder.forward(plan.partitions).await;
        outcome.refusals.merge(plan.refusals);

        if !outcome.errors.is_empty() {
            // The sender will repeat all of it.
            self.rates.give_back(tenant, received);
        }
        let reply = reply::answer(&outcome, &body, self.config.retry_after.0);
        self.report(tenant, &outcome, &reply);
        Ok(reply)
    }

    /// Decompresses within the tenant's limits and the process' room; the
    /// inner error is the answer when there is no room.
    fn open(
        &self,
        tenant: &TenantId,
        request: &WriteRequest,
        limits: &Limits,
        room: &mut dyn RequestRoom,
    ) -> Result<Result<Body, WriteReply>, WriteError> {
        let (got, limit) = (request.body.len(), limits.max_request_bytes.0);
        if got as u64 > limit {
            return Err(WriteError::Body { got, limit });
        }
        let limit = usize::try_from(limits.max_decompressed_bytes.0).unwrap_or(usize::MAX);
        let len = decompressed_len(&request.body, limit)?;
        if let Err(refused) = room.grow((len as u64).saturating_mul(MEMORY)) {
            return Ok(Err(refused));
        }
        let bytes = decompress(&request.body, limit)?;
        let fingerprints = self.fingerprints.tenant(tenant);
        Ok(Ok(Body { bytes, protocol: request.protocol, fingerprints, limit }))
    }

    fn plan(
        &self,
        tenant: &TenantId,
        body: &Body,
        limits: &Limits,
        shards: &Shards,
        generation: u32,
    ) -> Result<Plan, WriteError> {
        let planner = Planner {
            tenant,
            limits,
            generation,
            shards,
            references: &self.references,
            times: Times::new(self.clock.now_ms(), limits),
        };
        Ok(planner.plan(body)?)
    }

    fn check_rate(
        &self,
        tenant: &TenantId,
        limits: &Limits,
        samples: u64,
    ) -> Result<(), WriteError> {
        let (rate, burst) = (limits.ingestion_rate, limits.burst());
        let now = self.clock.monotonic();
        self.rates
            .take(tenant, (rate, burst), samples, now)
            .map_err(|retry_after| WriteError::Rate { samples, rate, burst, retry_after })
    }

    fn report(&self, tenant: &TenantId, outcome: &Outcome, reply: &WriteReply) {
        self.metrics.written(outcome.samples, outcome.histograms, outcome.exemplars);
        self.metrics.refused(&outcome.refusals);
        for e in &outcome.errors {
            self.log_error(tenant, e);
        }
        if !outcome.refusals.is_empty()
            && let Some(suppressed) = self.refusals_log.pass(self.clock.monotonic())
        {
            let message = &reply.message;
            tracing::warn!(%tenant, suppressed, "samples were refused: {message}");
        }
    }

    fn log_error(&self, tenant: &TenantId, e: &WriteError) {
        if let Some(suppressed) = self.errors_log.pass(self.clock.monotonic()) {
            tracing::warn!(%tenant, suppressed, "write was not taken: {e}");
        }
    }
}
