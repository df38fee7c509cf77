//! Division by a power of ten without a division.
//!
//! With d = 10^e and y = 1/d rounded to nearest, `q = x·y`, `r = x - q·d` and
//! `q + r·y`, the last two fused, give x / d rounded to nearest for every
//! integer x that an `f64` holds (Markstein, "Computation of elementary functions
//! on the IBM RISC System/6000 processor", 1990; for divisors known in advance:
//! Brisebarre, Muller, Raina, 2004). Nothing over- or underflows, as |x| is 0 or
//! from 1 to 2^63. Why it rounds right, x and d being scaled by powers of two
//! into [1, 2), which changes no digit:
//!
//! 1. y lies within 2^-54 of 1/d. So q lies within 1.5 u of x / d, where u is the
//!    unit in the last place of x / d: 2^-53 if x < d, else 2^-52.
//! 2. d = 5^e × 2^e has p ≤ 52 significant bits. r is a multiple of u × 2^(1-p)
//!    and at most 1.5 u·d, which is below 2^53 of these: r is exact.
//! 3. q + r·y, before it is rounded, is off by at most |r| × 2^-54, so by at most
//!    1.5 u·d × 2^-54.
//! 4. It rounds as x / d does unless the middle m of two floats lies between
//!    them. x - m·d is not 0, as m has an odd last bit beyond those of x and
//!    multiplying by 5^e leaves it there; and it is a multiple of u × 2^-p. So
//!    |x / d - m| ≥ u × 2^-p / d, more than the error if d² < 2^(54-p) / 1.5:
//!    for p ≤ 51 whatever d is, and for p = 52, which is e = 22 alone, since
//!    5^22 = 1.06 × 2^51.

/// The largest power of ten that is exact in an `f64`.
pub(in crate::chunk) const MAX_EXPONENT: u8 = 22;

/// Powers of ten, all exact.
pub(in crate::chunk) const POWERS: [f64; MAX_EXPONENT as usize + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// A power of ten to divide by.
#[derive(Clone, Copy, Debug)]
pub(in crate::chunk) struct Scale {
    /// 10^e.
    pub(super) power: f64,
    /// 1 / 10^e, rounded to nearest.
    pub(super) inverse: f64,
}

impl Scale {
    /// Division by 10^`exponent`; none above [`MAX_EXPONENT`].
    pub(in crate::chunk) fn new(exponent: u8) -> Option<Self> {
        let power = *POWERS.get(usize::from(exponent))?;
        Some(Self { power, inverse: 1.0 / power })
    }

    /// What an integer becomes.
    #[inline]
    pub(in crate::chunk) fn decimal(self, i: i64) -> f64 {
        i as f64 / self.power
    }
}
