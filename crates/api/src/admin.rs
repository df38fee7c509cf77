//! What the operating routes ask of the process: readiness, configuration,
//! and shipping by hand. Next: `varve` (the binary) implements this.

use async_trait::async_trait;

use crate::querier::QueryError;

/// The process as operators see it.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Whether requests can be served.
    ///
    /// # Errors
    /// What is being waited for, for people.
    async fn ready(&self) -> Result<(), String>;

    /// The configuration in force as YAML. Secrets must be masked here.
    fn config_yaml(&self) -> String;

    /// Seals, cuts and ships everything held in memory, whatever its age.
    /// Returns the ids of the blocks that were committed.
    async fn ship(&self) -> Result<Vec<String>, QueryError>;
}
