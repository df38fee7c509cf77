//! `varve-cost`: what writing, keeping and finding metrics costs, in Varve and
//! in its neighbours. One subcommand answers one question; see README.md.

use std::io;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use varve_benches::cost::bench::Bench;
use varve_benches::cost::server::Kind;
use varve_benches::cost::write;

/// Measures Varve beside VictoriaMetrics and Prometheus.
#[derive(Debug, Parser)]
#[command(name = "varve-cost", version, max_term_width = 100)]
struct Flags {
    /// Varve's program, of a release build.
    #[arg(long, global = true, default_value = "target/release/varve")]
    varve: PathBuf,
    /// VictoriaMetrics' program.
    #[arg(long, global = true, default_value = "victoria-metrics")]
    victoria: PathBuf,
    /// Prometheus' program.
    #[arg(long, global = true, default_value = "prometheus")]
    prometheus: PathBuf,
    /// The load generator; default: beside this program.
    #[arg(long, global = true)]
    load: Option<PathBuf>,
    /// Who takes part.
    #[arg(long, global = true, value_delimiter = ',', default_value = "varve,victoria,prometheus")]
    servers: Vec<Kind>,
    /// Folder for the servers' data; what is in its subfolders is deleted.
    #[arg(long, global = true, default_value = "target/cost")]
    temp: PathBuf,
    /// Folder for results.
    #[arg(long, global = true, default_value = "benches/results")]
    results: PathBuf,
    /// What the page calls this run, such as the commit.
    #[arg(long, global = true, default_value = "unnamed")]
    label: String,
    /// Connections of the load.
    #[arg(long, global = true, default_value_t = 4)]
    connections: usize,
    /// Varve: seconds between two seals. The default of the product, ten
    /// minutes, would be never in a run that sends hours within a minute.
    #[arg(long, global = true, default_value_t = 10)]
    seal_seconds: u64,
    /// Times that everything is done; the page has medians.
    #[arg(long, global = true, default_value_t = 1)]
    rounds: usize,
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// What does a sample cost to write, and how fast can they come?
    Write {
        /// Numbers of series.
        #[arg(long, value_delimiter = ',', default_value = "20000,100000,1000000")]
        series: Vec<u32>,
        /// Samples of each run.
        #[arg(long, default_value_t = 30_000_000)]
        samples: u64,
    },
}

fn main() -> io::Result<()> {
    let flags = Flags::parse();
    let beside = std::env::current_exe()?.with_file_name("varve-load");
    let bench = Bench {
        varve: flags.varve,
        victoria: flags.victoria,
        prometheus: flags.prometheus,
        load: flags.load.unwrap_or(beside),
        servers: flags.servers,
        temp: std::path::absolute(flags.temp)?,
        results: flags.results,
        label: flags.label,
        connections: flags.connections,
        seal_seconds: flags.seal_seconds,
        rounds: flags.rounds.max(1),
    };
    match flags.question {
        Question::Write { series, samples } => write::write(&bench, &series, samples),
    }
}
