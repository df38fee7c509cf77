//! The cost bench: Varve beside VictoriaMetrics and Prometheus on the same
//! machine, the same load, one question per file.
//!
//! ```text
//! bench (programs, runs) ─▶ server, process ─▶ write | memory | bytes | restart | freshness
//!                           answer, dashboards ─▶ queries │
//!                           machine, plot ───▶ report ─▶ results/
//! ```

pub mod answer;
pub mod bench;
pub mod bytes;
pub mod dashboards;
pub mod freshness;
pub mod machine;
pub mod memory;
pub mod plot;
pub mod process;
pub mod queries;
pub mod report;
pub mod restart;
pub mod server;
pub mod write;
