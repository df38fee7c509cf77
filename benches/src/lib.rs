//! Every bench: one question per file, measured answers in `results/`. What
//! several of them need is here; README.md says how to run each.

pub mod clock;
pub mod cost;
pub mod cpu;
pub mod load;
pub mod scrape;
