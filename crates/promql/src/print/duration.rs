//! Durations as text. A literal alone is shown with units, whatever it was
//! written as; within an expression it is shown as it was written.

use std::fmt::{self, Display, Formatter};

use super::{sign, write_number};
use crate::ast::{DurationExpr, DurationKind, UnaryOp};
use crate::parse::format_duration_ms;

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.kind {
            DurationKind::Literal { seconds, .. } => {
                f.write_str(&format_duration_ms(whole_milliseconds(seconds)))
            }
            _ => write_part(f, self),
        }
    }
}

/// Go keeps nanoseconds and shows the whole milliseconds of them.
fn whole_milliseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64 / 1_000_000
}

fn write_part(f: &mut Formatter<'_>, d: &DurationExpr) -> fmt::Result {
    let call = |f: &mut Formatter<'_>, name: &str, a: &DurationExpr, b: &DurationExpr| {
        write!(f, "{name}(")?;
        write_part(f, a)?;
        f.write_str(", ")?;
        write_part(f, b)?;
        f.write_str(")")
    };
    match &d.kind {
        DurationKind::Literal { seconds, unit } => write_number(f, *seconds, *unit),
        DurationKind::Step => f.write_str("step()"),
        DurationKind::Range => f.write_str("range()"),
        DurationKind::Min(a, b) => call(f, "min_of", a, b),
        DurationKind::Max(a, b) => call(f, "max_of", a, b),
        DurationKind::Unary(UnaryOp::Plus, a) => write_part(f, a),
        DurationKind::Unary(op, a) => {
            write!(f, "{}", sign(*op))?;
            write_part(f, a)
        }
        DurationKind::Binary(op, a, b) => {
            write_part(f, a)?;
            write!(f, " {} ", op.as_str())?;
            write_part(f, b)
        }
        DurationKind::Paren(a) => {
            f.write_str("(")?;
            write_part(f, a)?;
            f.write_str(")")
        }
    }
}
