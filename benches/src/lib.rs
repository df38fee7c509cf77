//! Every bench: one question per file, results kept beside it.
