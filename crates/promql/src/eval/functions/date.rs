//! The date functions: parts of a time in UTC.

use futures::StreamExt;

use super::map::floats;
use crate::eval::context::Context;
use crate::eval::date::Civil;
use crate::eval::row::Row;
use crate::eval::stream::BatchStream;
use crate::plan::{DatePart, Grid, Node};

/// The rows of a date function; without an argument it is of the step's time.
pub(crate) fn rows<'a>(
    ctx: &'a Context<'a>,
    grid: Grid,
    part: DatePart,
    arg: Option<&'a Node>,
) -> BatchStream<'a> {
    match arg {
        Some(arg) => floats(ctx, crate::eval::vector(ctx, arg), move |_, v| {
            Some(of(part, Civil::from_unix(go_int(v))))
        }),
        None => futures::stream::once(async move {
            let _room = ctx.room(1, grid.steps)?;
            let mut row = Row::empty(varve_model::Labels::empty(), grid.steps);
            for step in 0..grid.steps {
                row.floats[step] = of(part, Civil::from_unix(grid.time(step) / 1000));
            }
            ctx.batch(vec![row])
        })
        .boxed(),
    }
}

/// Go's conversion on amd64: what does not fit becomes the smallest integer,
/// and that, counted from the beginning of Go's calendar, wraps around to the
/// second after the largest.
fn go_int(v: f64) -> i64 {
    const BEGINNING: f64 = -9_223_372_028_741_760_000.0;
    match v {
        v if v.is_nan() || v < BEGINNING => i64::MAX,
        v => v as i64,
    }
}

fn of(part: DatePart, t: Civil) -> f64 {
    let part = match part {
        DatePart::DaysInMonth => t.days_in_month(),
        DatePart::DayOfMonth => t.day,
        DatePart::DayOfWeek => t.weekday,
        DatePart::DayOfYear => t.day_of_year,
        DatePart::Hour => t.hour,
        DatePart::Minute => t.minute,
        DatePart::Month => t.month,
        DatePart::Year => t.year,
    };
    part as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_prometheus_furthest_one() {
        for v in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e21] {
            let t = Civil::from_unix(go_int(v));
            let got = (t.year, t.month, t.day, t.weekday, t.day_of_year, t.hour, t.minute);
            assert_eq!(got, (292_277_026_596, 12, 4, 0, 339, 15, 30), "{v}");
        }
        assert_eq!(Civil::from_unix(go_int(123_456_789_012_345_680.0)).weekday, 3);
    }
}
