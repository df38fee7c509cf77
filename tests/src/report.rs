//! What a test tells of its run: figures, on standard error.

/// Prints one line, shown when the test fails or its output is asked for.
pub fn report(line: impl std::fmt::Display) {
    eprintln!("{line}");
}
