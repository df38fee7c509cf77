//! What one tenant may do. Defaults for all, overrides by tenant; both come
//! from outside through a watch channel and are read anew by every request.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use varve_model::{TenantError, TenantId};
use varve_runtime::config::{ByteSize, HumanDuration};

/// Writes [`Limits`] and [`LimitsPatch`] from one list of settings.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr;)+) => {
        /// What one tenant may do; 0 means no limit unless said otherwise.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        /// Some of the settings of [`Limits`]; what is not set stays.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitsPatch {
            $($(#[doc = $doc])+
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $name: Option<$type>,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// These limits with what the patch sets.
            pub fn with(&self, patch: &LimitsPatch) -> Self {
                Self { $($name: patch.$name.unwrap_or(self.$name),)+ }
            }
        }
    };
}

limits! {
    /// Samples a second, on average. Beyond it the answer is 429, upon which
    /// stock senders drop what they sent.
    ingestion_rate: u64 = 0;
    /// Samples that may come at once; 0 = ten seconds' worth of the rate.
    ingestion_burst: u64 = 0;
    /// Active series, over all partitions of the tenant.
    max_series: u64 = 0;
    /// Labels that one series may have.
    max_label_names_per_series: u32 = 40;
    /// Bytes of a label's name.
    max_label_name_length: u32 = 1024;
    /// Bytes of a label's value.
    max_label_value_length: u32 = 2048;
    /// Bytes of a metric family's name, help and unit together.
    max_metadata_length: u32 = 2048;
    /// Buckets of one native histogram.
    max_native_histogram_buckets: u32 = 0;
    /// Bytes of one request as sent, compressed; never unlimited.
    max_request_bytes: ByteSize = ByteSize(16 << 20);
    /// Bytes of one request after decompression; never unlimited. What it
    /// decodes to may take four times as many.
    max_decompressed_bytes: ByteSize = ByteSize(32 << 20);
    /// How far behind the tenant's newest sample another may lie when its
    /// series has a newer one already. 0 = in order only.
    out_of_order_window: HumanDuration = HumanDuration::from_secs(2 * 3600);
    /// How far in the future a sample may lie. 0 = not at all.
    creation_grace_period: HumanDuration = HumanDuration::from_secs(600);
    /// How long samples are kept; older ones are refused. 0 = for ever.
    retention: HumanDuration = HumanDuration::from_secs(0);
    /// Over how many partitions the tenant's series are spread; about one
    /// for 200,000 active series. 0 = over all.
    partitions: u32 = 1;
}

impl Limits {
    /// Changes when a series that was valid may no longer be, or may belong
    /// to another partition: references cached before are looked up anew.
    pub(crate) fn generation(&self, partitions: u32) -> u32 {
        let mut hasher = std::hash::DefaultHasher::new();
        let labels = (
            self.max_label_names_per_series,
            self.max_label_name_length,
            self.max_label_value_length,
        );
        (labels, self.partitions, partitions).hash(&mut hasher);
        hasher.finish() as u32
    }

    /// Samples that may come at once.
    pub(crate) fn burst(&self) -> u64 {
        if self.ingestion_burst > 0 {
            self.ingestion_burst
        } else {
            self.ingestion_rate.saturating_mul(10)
        }
    }
}

/// The limits as they are written in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OverridesConfig {
    /// For every tenant.
    pub defaults: LimitsPatch,
    /// For one tenant, by name; what is not set is as in `defaults`.
    pub tenants: BTreeMap<String, LimitsPatch>,
}

/// Why limits were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// A name that no tenant can have.
    #[error("limits: {0}")]
    Tenant(#[from] TenantError),
    /// A limit without which a request could take all memory.
    #[error("limits: {setting} must not be 0")]
    Unbounded {
        /// The setting's name.
        setting: &'static str,
    },
}

/// The limits of all tenants, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    defaults: Limits,
    tenants: HashMap<TenantId, Limits>,
}

impl Overrides {
    /// Checks what was written.
    ///
    /// # Errors
    /// On names that are none and on sizes without bound.
    pub fn new(config: &OverridesConfig) -> Result<Self, LimitsError> {
        let defaults = Limits::default().with(&config.defaults);
        check(&defaults)?;
        let mut tenants = HashMap::new();
        for (name, patch) in &config.tenants {
            let limits = defaults.with(patch);
            check(&limits)?;
            tenants.insert(TenantId::new(name)?, limits);
        }
        Ok(Self { defaults, tenants })
    }

    /// The limits of one tenant.
    pub fn tenant(&self, tenant: &TenantId) -> &Limits {
        self.tenants.get(tenant).unwrap_or(&self.defaults)
    }
}

fn check(limits: &Limits) -> Result<(), LimitsError> {
    let sizes = [
        ("max_request_bytes", limits.max_request_bytes),
        ("max_decompressed_bytes", limits.max_decompressed_bytes),
    ];
    match sizes.iter().find(|(_, size)| size.0 == 0) {
        Some((setting, _)) => Err(LimitsError::Unbounded { setting }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_override_only_what_they_set() {
        let yaml = "defaults:\n  max_series: 5\ntenants:\n  a:\n    ingestion_rate: 9\n";
        let config: OverridesConfig = varve_runtime::config::parse(yaml).unwrap();
        let overrides = Overrides::new(&config).unwrap();
        let a = overrides.tenant(&TenantId::new("a").unwrap());
        assert_eq!((a.max_series, a.ingestion_rate, a.burst()), (5, 9, 90));
        let b = overrides.tenant(&TenantId::new("b").unwrap());
        assert_eq!((b.max_series, b.ingestion_rate), (5, 0));
    }

    #[test]
    fn bad_limits_are_refused() {
        for yaml in ["tenants: {a/b: {}}", "defaults: {max_request_bytes: 0}"] {
            let config: OverridesConfig = varve_runtime::config::parse(yaml).unwrap();
            assert!(Overrides::new(&config).is_err(), "{yaml} was taken");
        }
        let unknown = varve_runtime::config::parse::<OverridesConfig>("defaults: {max_serie: 1}");
        assert!(unknown.unwrap_err().to_string().contains("max_series"));
    }
}
