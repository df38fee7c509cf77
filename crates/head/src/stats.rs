//! What a partition holds, in numbers.

use std::collections::BTreeMap;

use varve_model::TenantId;

use crate::Metrics;
use crate::state::State;
use crate::tenant::Tenant;

/// What a partition holds at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionStats {
    /// Index of the last applied entry.
    pub applied: u64,
    /// Index of the last entry that the last seal made needless.
    pub sealed: u64,
    /// Highest time of any sample, in milliseconds; `None` when there is none.
    pub max_time: Option<i64>,
    /// Bytes of memory behind all tenants, about.
    pub memory: u64,
    /// By tenant.
    pub tenants: BTreeMap<TenantId, TenantStats>,
}

/// What a partition holds of one tenant at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantStats {
    /// Series.
    pub series: u64,
    /// Highest time of any sample, in milliseconds.
    pub max_time: Option<i64>,
    /// Bytes of memory, about.
    pub memory: u64,
    /// See [`crate::HeadRead::released_at`].
    pub released_at: u64,
}

impl State {
    pub(crate) fn stats(&self) -> PartitionStats {
        let of = |tenant: &Tenant| TenantStats {
            series: tenant.series.len() as u64,
            max_time: Some(tenant.max_time).filter(|t| *t > i64::MIN),
            memory: (tenant.memory + tenant.index.memory()) as u64,
            released_at: tenant.released_at,
        };
        let tenants: BTreeMap<TenantId, TenantStats> =
            self.tenants.iter().map(|(id, t)| (id.clone(), of(t))).collect();
        PartitionStats {
            applied: self.applied,
            sealed: self.sealed,
            max_time: self.max_time(),
            memory: tenants.values().map(|t| t.memory).sum(),
            tenants,
        }
    }
}

impl PartitionStats {
    /// Shows the numbers in the metrics.
    pub(crate) fn export(&self, partition: u32, metrics: &Metrics) {
        let label = partition.to_string();
        let set = |gauge: &prometheus::IntGaugeVec, v: u64| {
            gauge.with_label_values(&[&label]).set(i64::try_from(v).unwrap_or(i64::MAX));
        };
        set(&metrics.series, self.tenants.values().map(|t| t.series).sum());
        set(&metrics.memory, self.memory);
    }
}
