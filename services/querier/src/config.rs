//! What can be set about a querier.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use varve_query::QueryConfig;
use varve_runtime::config::{ByteSize, HumanDuration};

use crate::Features;

/// Settings of a querier.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How far back an instant selector looks for a sample.
    pub lookback_delta: HumanDuration,
    /// The step of subqueries that name none.
    pub default_evaluation_interval: HumanDuration,
    /// Longest time that a query may take, waiting included.
    pub timeout: HumanDuration,
    /// Queries that run at once; others wait their turn, tenants by turns.
    pub max_concurrent: usize,
    /// Queries of one tenant that may run or wait at once; more are refused as 503.
    pub max_outstanding_per_tenant: usize,
    /// Most samples that a query may hold while it is evaluated.
    pub max_samples: u64,
    /// Threads that one query may use at once; all but its own are shared by
    /// all queries. 0 = as many as the machine has.
    pub threads: usize,
    /// What is on beside the defaults, by Prometheus' names for `--enable-feature`.
    pub features: Features,
    /// Most samples that one query of a remote read may be answered with,
    /// unless chunks are streamed.
    pub remote_read_max_samples: u64,
    /// A frame of a streamed remote read is sent when it has so many bytes.
    pub remote_read_frame: ByteSize,
    /// File to which a line of JSON is added for each PromQL query, with the
    /// fields of Prometheus' query log and the tenant; none = no log.
    pub query_log_file: Option<PathBuf>,
    /// Memory and time limits of reads.
    pub reads: QueryConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lookback_delta: HumanDuration::from_secs(300),
            default_evaluation_interval: HumanDuration::from_secs(60),
            timeout: HumanDuration::from_secs(120),
            max_concurrent: 20,
            max_outstanding_per_tenant: 100,
            max_samples: 50_000_000,
            threads: 0,
            features: Features::default(),
            remote_read_max_samples: 50_000_000,
            remote_read_frame: ByteSize(1 << 20),
            query_log_file: None,
            reads: QueryConfig::default(),
        }
    }
}
