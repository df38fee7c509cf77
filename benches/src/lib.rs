//! Every bench: one question per file in `benches/`, measured answers in
//! `results/`. What several of them need is here: real scrapes and a clock of
//! the thread's own CPU time.

pub mod cpu;
pub mod scrape;
