//! The table of PromQL's functions: names, argument types, and which of them
//! are experimental. The parser checks calls against it; evaluation
//! dispatches on the name.

use crate::ast::ValueType;

/// One function of the language.
#[derive(Debug)]
pub struct Function {
    /// The name as written.
    pub name: &'static str,
    /// Types of the arguments; a variadic function repeats the last.
    pub args: &'static [ValueType],
    /// How many of the last arguments may be left out or repeated:
    /// 0 none, n up to n more (optional) arguments, −1 any number (as in Prometheus' table).
    pub variadic: i32,
    /// What it returns.
    pub returns: ValueType,
    /// Whether it needs `promql-experimental-functions`.
    pub experimental: bool,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
