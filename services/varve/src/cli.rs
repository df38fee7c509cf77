//! The command line.
//!
//! Flags win over environment variables (`VARVE_…`), those over the
//! configuration file, that over defaults.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Role};
use crate::{run, tools};

/// What a command fails with: a sentence for people.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A long-term home for Prometheus metrics.
#[derive(Debug, Parser)]
#[command(name = "varve", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run roles until stopped; the default command.
    Run(RunFlags),
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Work on stored data.
    Tools {
        #[command(subcommand)]
        command: tools::ToolsCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the configuration and print it as it would be in force.
    Check(RunFlags),
}

/// Flags of `varve run`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunFlags {
    /// Roles to run, separated by commas: distributor, ingester, querier,
    /// store-gateway, compactor; or all.
    #[arg(long, env = "VARVE_ROLES", value_delimiter = ',')]
    roles: Vec<String>,
    /// Configuration file (YAML).
    #[arg(long, env = "VARVE_CONFIG_FILE")]
    config_file: Option<PathBuf>,
    /// Folder for everything that this process keeps on local disk.
    #[arg(long, env = "VARVE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the HTTP API [default: 127.0.0.1:9009].
    #[arg(long, env = "VARVE_HTTP_LISTEN")]
    http_listen: Option<SocketAddr>,
    /// Address of gRPC between processes [default: 127.0.0.1:9095].
    #[arg(long, env = "VARVE_GRPC_LISTEN")]
    grpc_listen: Option<SocketAddr>,
    /// Where blocks are kept: file:///path, s3://bucket/prefix,
    /// az://container/prefix, gs://bucket/prefix, memory://name
    /// [default: a folder in the data folder].
    #[arg(long, env = "VARVE_BUCKET_URL")]
    bucket_url: Option<String>,
    /// What queries may use beside the defaults, by Prometheus' names and
    /// separated by commas, such as promql-experimental-functions; adds to
    /// querier.features.
    #[arg(long, env = "VARVE_ENABLE_FEATURE", value_delimiter = ',')]
    enable_feature: Vec<String>,
    /// Which log lines to show, such as info or warn,varve_head=debug.
    #[arg(long, env = "VARVE_LOG")]
    log: Option<String>,
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn execute(self) -> Result<(), Failure> {
        match self.command {
            None => run::run(self.run.config()?),
            Some(Command::Run(flags)) => run::run(flags.config()?),
            Some(Command::Config { command: ConfigCommand::Check(flags) }) => {
                let config = flags.config()?;
                print(&config.to_public_yaml()?)
            }
            Some(Command::Tools { command }) => command.execute(),
        }
    }
}

impl RunFlags {
    /// The configuration that these flags, the environment and the file make.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let mut config = match &self.config_file {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if !self.roles.is_empty() {
            config.roles =
                self.roles.iter().map(|r| Role::parse(r)).collect::<Result<Vec<_>, _>>()?.concat();
        }
        if let Some(dir) = &self.data_dir {
            config.data_dir.clone_from(dir);
        }
        if let Some(address) = self.http_listen {
            config.server.http_listen = address;
        }
        if let Some(address) = self.grpc_listen {
            config.server.grpc_listen = address;
        }
        if let Some(url) = &self.bucket_url {
            config.bucket.url.clone_from(url);
        }
        for name in self.enable_feature.iter().map(|n| n.trim()).filter(|n| !n.is_empty()) {
            config.querier.features.enable(name).map_err(|e| format!("--enable-feature: {e}"))?;
        }
        if let Some(filter) = &self.log {
            config.log.filter.clone_from(filter);
        }
        config.validate()?;
        Ok(config)
    }
}

/// Prints to standard output, where a closed pipe is no error of ours.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_of_the_command_line_add_to_those_of_the_file() {
        let check = |features: &[&str]| -> Result<String, String> {
            let dir = tempfile::tempdir().expect("make a folder");
            let file = dir.path().join("varve.yaml");
            std::fs::write(&file, "querier: {features: [use-start-timestamps]}\n").expect("write");
            let file = file.to_string_lossy();
            let mut line = vec!["varve", "--config-file", &file];
            line.extend(features.iter().flat_map(|f| ["--enable-feature", f]));
            let cli = Cli::try_parse_from(line).map_err(|e| e.to_string())?;
            let config = cli.run.config().map_err(|e| e.to_string())?;
            config.to_public_yaml().map_err(|e| e.to_string())
        };
        let shown = check(&[
            "promql-experimental-functions, promql-duration-expr",
            "promql-binop-fill-modifiers",
        ]);
        let shown = shown.expect("all are known");
        let names = [
            "promql-binop-fill-modifiers",
            "promql-duration-expr",
            "promql-experimental-functions",
            "use-start-timestamps",
        ];
        let list: String = names.iter().map(|n| format!("- {n}\n")).collect();
        let plain: String = shown.lines().map(|l| format!("{}\n", l.trim())).collect();
        assert!(plain.contains(&format!("features:\n{list}")), "{shown}");
        let error = check(&["promql-fill-modifiers"]).expect_err("not known");
        assert!(error.contains("did you mean \"promql-binop-fill-modifiers\""), "{error}");
    }
}
