//! Division by a power of ten without a division.
//!
//! With d = 10^e and y = 1/d rounded to nearest, `q = x·y`, `r = x - q·d` and
//! `q + r·y`, the last two fused, give x / d rounded to nearest for every
//! integer x that was rounded to an `f64` (Markstein, "Computation of elementary
//! functions on the IBM RISC System/6000 processor", 1990; for divisors known
//! in advance Brisebarre, Muller, Raina, 2004). Why it holds here, with x and d scaled by
//! powers of two into [1, 2), which changes no digit: nothing over- or
//! underflows as |x| is 0 or in [1, 2^63].
//!
//! 1. y lies within 2^-54 of 1/d, so q lies within 1.5 of its units in the last
//!    place u of x / d, where u = 2^-53 if x < d, else within 1 and u = 2^-52.
//! 2. d = 5^e × 2^e has p ≤ 52 significant bits, and r is a multiple of
//!    u × 2^(1-p) of at most 1.5 u·d < 3 u, that is below 2^53 of
//!    these: r is exact.
//! 3. q + r·y before rounding is off by at most |r| × 2^-54 ≤ 1.5 u·d × 2^-54.
//! 4. It rounds as x / d does unless a midpoint m of two floats lies between.
//!    x - m·d is not 0, as d is odd but for its power of two and m has one bit more
//!    than x, and is a multiple of u/2 × 2^(1-p): so |x / d - m| ≥ u × 2^-p / d. That
//!    exceeds the error if d² < 2^(54-p) / 1.5: for p ≤ 51 whatever d is,
//!    and for p = 52, e = 22, since 5^22 = 1.06 × 2^51.

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
