//! `varve-cost`: what writing, keeping and finding metrics costs, in Varve and
//! in its neighbours. One subcommand answers one question; see README.md.

use std::io;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use varve_benches::cost::bench::Bench;
use varve_benches::cost::server::Kind;
use varve_benches::cost::{bytes, freshness, memory, queries, restart, write};

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
    /// How much memory does an active series take?
    Memory {
        /// Series.
        #[arg(long, default_value_t = 100_000)]
        series: u32,
        /// Seconds of samples' time between two scrapes.
        #[arg(long, default_value_t = 15)]
        interval: u64,
        /// Samples a second; 45 minutes of samples' time take 2700 / interval × series / rate
        /// seconds.
        #[arg(long, default_value_t = 130_000.0)]
        rate: f64,
        /// How the series change, a run each.
        #[arg(long, value_delimiter = ',', default_value = "steady,churn,rollout")]
        changes: Vec<memory::Change>,
    },
    /// How many bytes does a sample take where it is kept?
    Bytes {
        /// Recorded scrapes (.bin.xz); without it, only made-up data.
        #[arg(long)]
        recorded: Option<PathBuf>,
        /// Series of the made-up data.
        #[arg(long, default_value_t = 20_000)]
        series: u32,
        /// Partitions of Varve to try.
        #[arg(long, value_delimiter = ',', default_value = "1,16")]
        partitions: Vec<u32>,
    },
    /// How long after a kill -9 does it serve again?
    Restart {
        /// Series.
        #[arg(long, default_value_t = 1_000_000)]
        series: u32,
        /// Scrapes before the kill; 40 are ten minutes.
        #[arg(long, default_value_t = 40)]
        scrapes: u64,
    },
    /// How soon after it is sent is a sample in an answer?
    Freshness {
        /// Series of the load.
        #[arg(long, default_value_t = 20_000)]
        series: u32,
        /// Samples a second of the load.
        #[arg(long, default_value_t = 50_000.0)]
        rate: f64,
        /// Seconds of load.
        #[arg(long, default_value_t = 60.0)]
        seconds: f64,
    },
    /// What does a dashboard cost to look at? The servers' data stays in
    /// --temp, for the next time.
    Queries {
        /// Series.
        #[arg(long, default_value_t = 100_000)]
        series: u32,
        /// Hours of data.
        #[arg(long, default_value_t = 24)]
        hours: u32,
        /// Repetitions of each query after the first.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
        /// Ask only the panel of this number.
        #[arg(long, default_value_t = 0)]
        only: usize,
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
        Question::Write { series, samples } => write::ask(&bench, &series, samples),
        Question::Memory { series, interval, rate, changes } => {
            memory::ask(&bench, &memory::Shape { series, interval, rate, changes })
        }
        Question::Bytes { recorded, series, partitions } => {
            bytes::ask(&bench, recorded.as_deref(), series, &partitions)
        }
        Question::Restart { series, scrapes } => restart::ask(&bench, series, scrapes),
        Question::Freshness { series, rate, seconds } => {
            freshness::ask(&bench, series, rate, seconds)
        }
        Question::Queries { series, hours, repetitions, only } => {
            queries::ask(&bench, queries::Shape { series, hours, repetitions, only })
        }
    }
}
