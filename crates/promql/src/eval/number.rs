//! Arithmetic on numbers as Go defines it.

use crate::ast::BinaryOp;

/// Go's `math.Max`: +Inf wins over NaN, NaN over the rest.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// Go's `math.Min`: -Inf wins over NaN, NaN over the rest.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

/// Go's `math.Pow`, whose special cases are those of C.
pub(crate) fn pow(a: f64, b: f64) -> f64 {
    a.powf(b)
}

/// Whether a comparison holds, `None` when the operator does not compare.
pub(crate) fn compare(op: BinaryOp, a: f64, b: f64) -> Option<bool> {
    Some(match op {
        BinaryOp::Eq => a == b,
        BinaryOp::Ne => a != b,
        BinaryOp::Lt => a < b,
        BinaryOp::Le => a <= b,
        BinaryOp::Gt => a > b,
        BinaryOp::Ge => a >= b,
        _ => return None,
    })
}

/// The result of an arithmetic operator, `None` when it is none.
pub(crate) fn arithmetic(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => pow(a, b),
        BinaryOp::Atan2 => super::arc::tangent2(a, b),
        _ => return None,
    })
}

/// An operator between two scalars; comparisons give 0 or 1.
pub(crate) fn binary(op: BinaryOp, a: f64, b: f64) -> f64 {
    match compare(op, a, b) {
        Some(holds) => f64::from(u8::from(holds)),
        None => arithmetic(op, a, b).unwrap_or(f64::NAN),
    }
}

/// The quantile of some numbers, which are sorted on the way. NaNs sort first.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
        (a, b) => b.cmp(&a),
    });
    let n = values.len() as f64;
    let rank = q * (n - 1.0);
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(n - 1.0);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_those_of_go() {
        assert_eq!(max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert!(max(f64::NAN, 1.0).is_nan());
        assert_eq!(min(f64::NEG_INFINITY, f64::NAN), f64::NEG_INFINITY);
        assert!(min(-0.0, 0.0).is_sign_negative());
        assert!(max(-0.0, 0.0).is_sign_positive());
    }

    #[test]
    fn quantiles_are_interpolated() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(0.25, &mut [0.0, 1.0, 2.0]), 0.5);
        assert_eq!(quantile(1.5, &mut [0.0]), f64::INFINITY);
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
    }
}
