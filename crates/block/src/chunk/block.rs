//! A block: up to 128 residuals as a reference, a width, packed low bits, and
//! patches for the few that need more.
//!
//! A patch holds the signed bits above the width, so that outliers on either
//! side of the reference cost little (Zukowski et al., "Super-Scalar RAM-CPU
//! Cache Compression", 2006, is where patching comes from).

use super::ChunkError;
use super::bits::{Cursor, bit_length, put_signed, unzigzag, zigzag};
use super::kernels::{Kernels, NARROW};
use super::pack::{self, BLOCK};

/// Set in the width's byte if patches follow.
const PATCHED: u8 = 0x80;

/// How a block would be laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Subtracted from each residual.
    pub(super) reference: i64,
    /// Bits a slot.
    pub(super) width: u32,
    /// About how many bits the block takes.
    pub(super) bits: u64,
}

/// Finds a good reference and width.
pub(super) fn plan(residuals: &[i64]) -> Plan {
    let (mut min, mut max) = (i64::MAX, i64::MIN);
    for &r in residuals {
        min = min.min(r);
        max = max.max(r);
    }
    if residuals.is_empty() {
        return Plan { reference: 0, width: 0, bits: 0 };
    }
    let full = bit_length(max.wrapping_sub(min) as u64);
    if full <= 1 {
        return whole(residuals.len(), min, full);
    }
    let best = plan_from(residuals, min, full);
    // If most lie in a much narrower range, the least may be an outlier.
    let (low, high) = core(residuals);
    if low == min || bit_length(high.wrapping_sub(low) as u64) + 2 > full {
        return best;
    }
    let other = plan_from(residuals, low, 64);
    if other.bits < best.bits { other } else { best }
}

/// Bits that hold most residuals, roughly.
pub(super) fn core_width(residuals: &[i64]) -> u32 {
    let (low, high) = core(residuals);
    bit_length(high.wrapping_sub(low) as u64)
}

/// A range that holds most residuals: the second least and second greatest of
/// every eighth.
fn core(residuals: &[i64]) -> (i64, i64) {
    let (mut least, mut low) = (i64::MAX, i64::MAX);
    let (mut most, mut high) = (i64::MIN, i64::MIN);
    for &r in residuals.iter().step_by(residuals.len().div_ceil(16).max(1)) {
        low = low.min(least.max(r));
        least = least.min(r);
        high = high.max(most.min(r));
        most = most.max(r);
    }
    if low > high { (least, most) } else { (low, high) }
}

/// A block without patches.
fn whole(count: usize, reference: i64, width: u32) -> Plan {
    let bits = head_bits(reference) + count as u64 * u64::from(width);
    Plan { reference, width, bits }
}

/// Bits of the width and the reference.
fn head_bits(reference: i64) -> u64 {
    8 + 8 * u64::from(bit_length(zigzag(reference)).max(1).div_ceil(7))
}

/// The best width for a reference, `full` being one without patches.
fn plan_from(residuals: &[i64], reference: i64, full: u32) -> Plan {
    // How many residuals need how many bits; below the reference, more than there are.
    // Two tallies in turn, as neighbours often need the same.
    let mut needs = [[0u16; 65]; 2];
    let need = |r: &i64| bit_length(r.wrapping_sub(reference) as u64) as usize;
    let (pairs, odd) = residuals.as_chunks::<2>();
    for [a, b] in pairs {
        needs[0][need(a)] += 1;
        needs[1][need(b)] += 1;
    }
    for r in odd {
        needs[0][need(r)] += 1;
    }
    let count = residuals.len() as u64;
    let mut best = whole(residuals.len(), reference, full);
    let base = best.bits - count * u64::from(full);
    let (mut patches, mut needed) = (0u64, 0u64);
    for width in (0..full).rev() {
        let more = u64::from(needs[0][width as usize + 1] + needs[1][width as usize + 1]);
        patches += more;
        // One below the reference is held to need few bits more than the rest.
        needed += more * u64::from(if width == 63 { 16 } else { width + 1 });
        if patches * 2 > count {
            break;
        }
        let beyond = needed.saturating_sub(patches * u64::from(width)) + 4 * patches;
        let bits = base + 8 + count * u64::from(width) + 8 * patches + beyond * 8 / 7;
        if bits < best.bits {
            best = Plan { reference, width, bits };
        }
    }
    best
}

/// Appends a block of 1 to 128 residuals.
pub(super) fn encode(residuals: &[i64], out: &mut Vec<u8>) {
    let Plan { reference, width, .. } = plan(residuals);
    let mut slots = [0u64; BLOCK];
    let slots = &mut slots[..residuals.len()];
    let mask = pack::mask(width);
    let mut beyond = 0u64;
    for (slot, r) in slots.iter_mut().zip(residuals) {
        let offset = r.wrapping_sub(reference) as u64;
        beyond |= offset & !mask;
        *slot = offset & mask;
    }
    out.push(if beyond == 0 { width as u8 } else { width as u8 | PATCHED });
    put_signed(out, reference);
    pack::pack(slots, width, out);
    if beyond != 0 {
        let above = |r: &i64| r.wrapping_sub(reference) >> width;
        let patches = residuals.iter().filter(|r| above(r) != 0).count();
        out.push(patches as u8);
        for (i, r) in residuals.iter().enumerate().filter(|(_, r)| above(r) != 0) {
            out.push(i as u8);
            put_signed(out, above(r));
        }
    }
}

/// Reads a block of `count` residuals and adds `base` to each; what lies
/// behind them has no meaning.
pub(super) fn decode(
    kernels: Kernels,
    from: &mut Cursor<'_>,
    count: usize,
    base: i64,
    residuals: &mut [i64; BLOCK],
) -> Result<(), ChunkError> {
    let Head { width, patched, reference } = Head::read(from)?;
    let packed = from.step_over(pack::packed_len(count, width), "packed residuals")?;
    kernels.unpack(packed, count, width, reference.wrapping_add(base), residuals);
    if patched {
        patches(from, count, width, |at, above| {
            residuals[at] = residuals[at].wrapping_add(above);
        })?;
    }
    Ok(())
}

/// Reads a block of `count` residuals if they, and all sums of neighbours, lie
/// within a bound below 2^31, which is returned. If not, nothing is read.
#[inline(always)]
pub(super) fn decode_narrow(
    kernels: Kernels,
    from: &mut Cursor<'_>,
    count: usize,
    residuals: &mut [i32; BLOCK],
) -> Result<Option<u64>, ChunkError> {
    let mut ahead = *from;
    let Head { width, patched, reference } = Head::read(&mut ahead)?;
    if width > NARROW || reference.unsigned_abs() > 1 << NARROW {
        return Ok(None);
    }
    let packed = ahead.step_over(pack::packed_len(count, width), "packed residuals")?;
    kernels.unpack_narrow(packed, count, width, reference as i32, residuals);
    let mut bound = count as u64 * (reference.unsigned_abs() + pack::mask(width));
    if patched {
        patches(&mut ahead, count, width, |at, above| {
            residuals[at] = residuals[at].wrapping_add(above as i32);
            bound = bound.saturating_add(above.unsigned_abs());
        })?;
    }
    if bound >= 1 << 31 {
        return Ok(None);
    }
    *from = ahead;
    Ok(Some(bound))
}

/// What stands before the packed residuals.
struct Head {
    width: u32,
    patched: bool,
    reference: i64,
}

impl Head {
    #[inline(always)]
    fn read(from: &mut Cursor<'_>) -> Result<Self, ChunkError> {
        let head = from.byte("block width")?;
        let width = u32::from(head & !PATCHED);
        if width > 64 {
            return Err(ChunkError::Field { field: "block width", value: width.into() });
        }
        let reference = from.signed("block reference")?;
        Ok(Self { width, patched: head & PATCHED != 0, reference })
    }
}

/// Reads patches and calls `add` for each with its position and what it adds.
#[inline(always)]
fn patches(
    from: &mut Cursor<'_>,
    count: usize,
    width: u32,
    mut add: impl FnMut(usize, i64),
) -> Result<(), ChunkError> {
    let patches = from.byte("patch count")?;
    if usize::from(patches) > count {
        return Err(ChunkError::Field { field: "patch count", value: patches.into() });
    }
    // Most often all of them are short.
    if let Some(pairs) = from.short_pairs(patches.into()) {
        let mut last = 0;
        for [at, above] in pairs {
            let above = unzigzag((*above).into()).checked_shl(width).unwrap_or(0);
            add(usize::from(*at) % BLOCK, above);
            last = last.max(*at);
        }
        if patches > 0 && usize::from(last) >= count {
            return Err(ChunkError::Field { field: "patch position", value: last.into() });
        }
        return Ok(());
    }
    for _ in 0..patches {
        let at = from.byte("patch position")?;
        if usize::from(at) >= count {
            return Err(ChunkError::Field { field: "patch position", value: at.into() });
        }
        let above = from.signed("patch")?.checked_shl(width).unwrap_or(0);
        add(usize::from(at), above);
    }
    Ok(())
}
