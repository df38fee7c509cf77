//! Tools for stored data: commands that end by themselves.

mod rebuild;

use clap::Subcommand;

use crate::cli::{Failure, RunFlags};

/// `varve tools …`
#[derive(Debug, Subcommand)]
pub(crate) enum ToolsCommand {
    /// Work on the bucket.
    Bucket {
        #[command(subcommand)]
        command: BucketCommand,
    },
}

/// `varve tools bucket …`
#[derive(Debug, Subcommand)]
pub(crate) enum BucketCommand {
    /// Make the catalog anew from the blocks in the bucket.
    RebuildCatalog {
        /// Tenants to rebuild, separated by commas; all when none is given.
        #[arg(long, value_delimiter = ',')]
        tenants: Vec<String>,
        #[command(flatten)]
        flags: RunFlags,
    },
}

impl ToolsCommand {
    /// Does what was asked.
    pub(crate) fn execute(self) -> Result<(), Failure> {
        match self {
            Self::Bucket { command: BucketCommand::RebuildCatalog { tenants, flags } } => {
                rebuild::run(&flags.config()?, &tenants)
            }
        }
    }
}
