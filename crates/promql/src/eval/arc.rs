//! The arc tangent as Go computes it, to the last bit: far out all its values
//! are neighbours, so that what is counted or subtracted of them shows which of
//! two neighbours it is.
//!
//! Method and coefficients are those of Moshier's Cephes library, which Go uses.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

/// Numerator and denominator of the approximation near zero, highest power first.
const ABOVE: [f64; 5] = [
    -8.750_608_600_031_904e-1,
    -1.615_753_718_733_365e1,
    -7.500_855_792_314_705e1,
    -1.228_866_684_490_136_1e2,
    -6.485_021_904_942_025e1,
];
const BELOW: [f64; 6] = [
    1.0,
    2.485_846_490_142_306_3e1,
    1.650_270_098_316_988_6e2,
    4.328_810_604_912_902_7e2,
    4.853_903_996_359_137e2,
    1.945_506_571_482_614e2,
];

/// Up to here no angle is taken off first.
const NEAR: f64 = 0.66;
/// The tangent of three eighths of π: beyond it the angle is that to the other axis.
const FAR: f64 = 2.414_213_562_373_095;
/// What π/2 is more than the float nearest to it.
const REST: f64 = 6.123_233_995_736_766e-17;

/// Go's `math.Atan`
pub(crate) fn tangent(x: f64) -> f64 {
    let far = x.abs();
    let angle = if far <= NEAR {
        near(far)
    } else if far > FAR {
        FRAC_PI_2 - near(1.0 / far) + REST
    } else {
        FRAC_PI_4 + near((far - 1.0) / (far + 1.0)) + 0.5 * REST
    };
    angle.copysign(x)
}

/// Go's `math.Atan2`
pub(crate) fn tangent2(y: f64, x: f64) -> f64 {
    // Zeros, infinities and NaN are the same everywhere.
    if y == 0.0 || x == 0.0 || !y.is_finite() || !x.is_finite() {
        return y.atan2(x);
    }
    let angle = tangent(y / x);
    if x > 0.0 {
        angle
    } else if angle <= 0.0 {
        angle + PI
    } else {
        angle - PI
    }
}

fn near(x: f64) -> f64 {
    let square = x * x;
    let sum = |of: &[f64]| of.iter().fold(0.0, |sum, c| sum * square + c);
    x * (square * sum(&ABOVE) / sum(&BELOW)) + x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_those_of_go() {
        for (x, bits) in [
            (0.1, 0x3fb983e282e2cc4d_u64),
            (0.5, 0x3fddac670561bb4f),
            (0.66, 0x3fe2aafdde4d0c9f),
            (0.67, 0x3fe2e3caf996421e),
            (1.0, 0x3fe921fb54442d18),
            (2.0, 0x3ff1b6e192ebbe44),
            (2.5, 0x3ff30b6d796a4da8),
            (1000.0, 0x3ff91de2c0e658bc),
            (1.7e9, 0x3ff921fb541bc0c0),
            (1e300, 0x3ff921fb54442d18),
            (-0.3, 0xbfd2a73a661eaf06),
            (-3.0, 0xbff3fc176b7a8560),
            (5e-324, 1),
            (-0.0, 1 << 63),
            (f64::NEG_INFINITY, 0xbff921fb54442d18),
        ] {
            assert_eq!(tangent(x).to_bits(), bits, "{x}");
        }
        assert!(tangent(f64::NAN).is_nan() && tangent2(f64::NAN, 1.0).is_nan());
    }

    #[test]
    fn angles_of_points_are_those_of_go() {
        for (y, x, bits) in [
            (1.0, 2.0, 0x3fddac670561bb4f_u64),
            (1.7e9, 3.0, 0x3ff921fb53cae80f),
            (-1.0, 2.0, 0xbfddac670561bb4f),
            (1.0, -2.0, 0x40056c6e7397f5ae),
            (-1.0, -2.0, 0xc0056c6e7397f5ae),
            (2.0, 0.3, 0x3ff6c020e7493378),
            (1e300, 1e-300, 0x3ff921fb54442d18),
            (3.0, -1e-300, 0x3ff921fb54442d18),
            (0.0, -1.0, 0x400921fb54442d18),
        ] {
            assert_eq!(tangent2(y, x).to_bits(), bits, "{y} {x}");
        }
    }
}
