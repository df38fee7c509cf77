//! The configuration of a process: one YAML file in which every key must be
//! known, under flags and environment variables.
//!
//! Each role's settings are its own type; this file only puts them together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use varve_bucket::{BucketConfig, CatalogConfig};
use varve_cluster::{RpcConfig, Topology, TopologyConfig};
use varve_distributor::{Overrides, OverridesConfig};
use varve_runtime::LogFormat;
use varve_runtime::config::{ByteSize, HumanDuration, parse, to_yaml};

use crate::cli::Failure;

/// What a process can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Takes writes.
    Distributor,
    /// Holds recent data.
    Ingester,
    /// Answers queries.
    Querier,
    /// Serves blocks.
    StoreGateway,
    /// Tidies the bucket.
    Compactor,
}

impl Role {
    const ALL: [(&'static str, Self); 5] = [
        ("distributor", Self::Distributor),
        ("ingester", Self::Ingester),
        ("querier", Self::Querier),
        ("store-gateway", Self::StoreGateway),
        ("compactor", Self::Compactor),
    ];

    /// The roles that a word names: one, or `all`.
    pub(crate) fn parse(word: &str) -> Result<Vec<Self>, String> {
        if word == "all" {
            return Ok(Self::ALL.map(|(_, role)| role).to_vec());
        }
        let found = Self::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, role)| vec![*role]).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("role {word:?} is not known: use {names}, or all")
        })
    }
}

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Roles to run.
    pub roles: Vec<Role>,
    /// Folder for everything that this process keeps on local disk.
    pub data_dir: PathBuf,
    pub server: ServerConfig,
    pub log: LogConfig,
    pub bucket: BucketSection,
    pub catalog: CatalogConfig,
    pub cluster: TopologyConfig,
    pub rpc: RpcConfig,
    pub limits: LimitsSection,
    pub distributor: varve_distributor::Config,
    pub ingester: varve_ingester::Config,
    pub querier: varve_querier::Config,
    pub store_gateway: varve_store_gateway::Config,
    pub compactor: varve_compactor::Config,
}

/// Listeners and shutdown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    /// Address of the HTTP API.
    pub http_listen: SocketAddr,
    /// Address of gRPC between processes.
    pub grpc_listen: SocketAddr,
    /// The address by which `cluster` names this process; empty = `grpc_listen`.
    pub advertise: String,
    /// The largest body of one write, as sent; a tenant's own limit
    /// (`max_request_bytes`) may be lower.
    pub max_write_body: ByteSize,
    /// How long a graceful shutdown may take before what is left is cut off.
    /// Nothing acknowledged is lost by that; it is replayed at the next start.
    pub shutdown_timeout: HumanDuration,
}

/// Logs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    /// Which lines to show, such as `info` or `warn,varve_head=debug`.
    pub filter: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

/// The bucket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BucketSection {
    /// `file:///path`, `s3://bucket/prefix`, `az://container/prefix`,
    /// `gs://bucket/prefix` or `memory://name`; empty = a folder in `data_dir`.
    pub url: String,
    /// Timeouts, retries, and the provider's own options.
    pub client: BucketConfig,
}

/// What tenants may do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    /// A file with the keys `defaults` and `tenants`, read again whenever it
    /// changes. It takes the place of the two keys below.
    pub file: Option<PathBuf>,
    /// The limits when there is no file.
    pub inline: OverridesConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            roles: Role::ALL.map(|(_, role)| role).to_vec(),
            data_dir: PathBuf::from("varve-data"),
            server: ServerConfig::default(),
            log: LogConfig::default(),
            bucket: BucketSection::default(),
            catalog: CatalogConfig::default(),
            cluster: TopologyConfig::default(),
            rpc: RpcConfig::default(),
            limits: LimitsSection::default(),
            distributor: Default::default(),
            ingester: Default::default(),
            querier: Default::default(),
            store_gateway: Default::default(),
            compactor: Default::default(),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            http_listen: SocketAddr::from(([127, 0, 0, 1], 9009)),
            grpc_listen: SocketAddr::from(([127, 0, 0, 1], 9095)),
            advertise: String::new(),
            max_write_body: ByteSize(64 << 20),
            shutdown_timeout: HumanDuration::from_secs(60),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info,foyer=warn,foyer_storage=warn".to_owned(), format: LogFormat::Text }
    }
}

impl Config {
    /// Reads a file; keys that are not known are refused.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("read configuration {}: {e}", path.display()))?;
        parse(&text).map_err(|e| format!("configuration {}: {e}", path.display()).into())
    }

    /// Checks what types cannot.
    pub(crate) fn validate(&self) -> Result<(), Failure> {
        if self.roles.is_empty() {
            return Err("roles must name at least one role".into());
        }
        self.topology()?;
        self.catalog.validate().map_err(|e| format!("catalog: {e}"))?;
        self.store_gateway.validate()?;
        self.ingester.validate()?;
        self.overrides()?;
        let (distributes, ingests) =
            (self.has(Role::Distributor) || self.has(Role::Querier), self.has(Role::Ingester));
        if distributes && !ingests && self.cluster.ingesters.is_empty() {
            return Err(
                "cluster.ingesters must name the ingesters, because this process is none".into()
            );
        }
        let serves = self.has(Role::StoreGateway);
        if self.has(Role::Querier) && !serves && self.cluster.store_gateways.is_empty() {
            return Err(
                "cluster.store_gateways must name the store-gateways, because this process is none"
                    .into(),
            );
        }
        if ingests && self.hosted_partitions()?.is_empty() {
            let name = self.advertised();
            return Err(format!(
                "no entry of cluster.ingesters has the address {name} of this ingester (setting server.advertise)"
            )
            .into());
        }
        Ok(())
    }

    /// Whether this process has a role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The cluster, checked.
    pub(crate) fn topology(&self) -> Result<Topology, Failure> {
        Ok(Topology::new(&self.cluster)?)
    }

    /// The partitions that this process hosts as an ingester.
    pub(crate) fn hosted_partitions(&self) -> Result<Vec<u32>, Failure> {
        if self.cluster.ingesters.is_empty() {
            return Ok((0..self.cluster.partitions).collect());
        }
        let name = self.advertised();
        let mine = self.cluster.ingesters.iter().filter(|i| i.address.to_string() == name);
        Ok(mine.flat_map(|i| i.partitions.iter().copied()).collect())
    }

    /// The limits in force, from the file when there is one.
    pub(crate) fn overrides(&self) -> Result<Overrides, Failure> {
        let config = match &self.limits.file {
            None => self.limits.inline.clone(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| format!("read limits {}: {e}", path.display()))?;
                parse(&text).map_err(|e| format!("limits {}: {e}", path.display()))?
            }
        };
        Ok(Overrides::new(&config)?)
    }

    /// Where blocks are kept.
    pub(crate) fn bucket_url(&self) -> String {
        if self.bucket.url.is_empty() {
            self.data_dir.join("bucket").to_string_lossy().into_owned()
        } else {
            self.bucket.url.clone()
        }
    }

    /// The configuration as it may be shown: provider options are masked.
    pub(crate) fn to_public_yaml(&self) -> Result<String, Failure> {
        let mut shown = self.clone();
        for value in shown.bucket.client.options.values_mut() {
            "<secret>".clone_into(value);
        }
        Ok(to_yaml(&shown)?)
    }

    fn advertised(&self) -> String {
        if self.server.advertise.is_empty() {
            self.server.grpc_listen.to_string()
        } else {
            self.server.advertise.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> Result<(), String> {
        let config: Config = parse(yaml).map_err(|e| e.to_string())?;
        config.validate().map_err(|e| e.to_string())
    }

    #[test]
    fn the_default_is_valid_and_survives_its_own_yaml() {
        let config = Config::default();
        config.validate().expect("valid");
        let yaml = config.to_public_yaml().expect("has a form");
        check(&yaml).expect("reads its own output");
    }

    #[test]
    fn refusals_name_the_setting() {
        let cases = [
            ("sever: {}", "did you mean `server`"),
            ("server: {http_listn: 1}", "did you mean `http_listen`"),
            ("roles: []", "roles"),
            ("roles: [querier]", "cluster.ingesters"),
            ("cluster: {partitions: 0}", "cluster.partitions"),
            ("roles: [distributor, ingester, querier]", "cluster.store_gateways"),
            ("cluster: {ingesters: [{address: 'a:1', partitions: [0]}]}", "server.advertise"),
            (
                "querier: {features: [promql-duration-expression]}",
                "did you mean \"promql-duration-expr\"",
            ),
            ("limits: {inline: {defaults: {max_serie: 1}}}", "max_series"),
        ];
        for (yaml, expected) in cases {
            let error = check(yaml).expect_err(yaml);
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }

    #[test]
    fn secrets_are_masked() {
        let yaml = "bucket: {client: {options: {aws_secret_access_key: hush}}}";
        let config: Config = parse(yaml).expect("valid");
        assert!(!config.to_public_yaml().expect("has a form").contains("hush"));
    }
}
