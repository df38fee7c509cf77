//! A block: up to 128 residuals as a reference, a width, packed low bits, and
//! patches for the few that need more.
//!
//! A patch holds the signed bits above the width, so that outliers on either
//! side of the reference cost little (Zukowski et al., "Super-Scalar RAM-CPU
//! Cache Compression", 2006, is where patching comes from).

use super::ChunkError;
use super::bits::{Cursor, bit_length, put_signed, zigzag};
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
    let (best, high) = plan_from(residuals, min, full);
    // Nearly all of them far above the least: it is an outlier.
    if full < 3 || high * 8 < residuals.len() * 7 {
        return best;
    }
    let mut sorted = [0i64; BLOCK];
    let sorted = &mut sorted[..residuals.len()];
    sorted.copy_from_slice(residuals);
    let at = residuals.len() / 16;
    let (_, low, _) = sorted.select_nth_unstable(at);
    let (other, _) = plan_from(residuals, *low, 64);
    if other.bits < best.bits { other } else { best }
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

/// The best width for a reference, and how many residuals need nearly all of
/// the `full` bits.
fn plan_from(residuals: &[i64], reference: i64, full: u32) -> (Plan, usize) {
    // How many residuals need how many bits; below the reference, more than there are.
    let mut needs = [0u32; 65];
    for r in residuals {
        needs[bit_length(r.wrapping_sub(reference) as u64) as usize] += 1;
    }
    let high = (needs[full as usize] + needs[full as usize - 1]) as usize;
    let count = residuals.len() as u64;
    let mut best = whole(residuals.len(), reference, full);
    let base = best.bits - count * u64::from(full);
    let (mut patches, mut needed) = (0u64, 0u64);
    for width in (0..full).rev() {
        let more = u64::from(needs[width as usize + 1]);
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
    (best, high)
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
    if beyond == 0 {
        out.push(width as u8);
        put_signed(out, reference);
    } else {
        out.push(width as u8 | PATCHED);
        put_signed(out, reference);
        let above = |r: &i64| r.wrapping_sub(reference) >> width;
        let patches = residuals.iter().filter(|r| above(r) != 0).count();
        out.push(patches as u8);
        for (i, r) in residuals.iter().enumerate().filter(|(_, r)| above(r) != 0) {
            out.push(i as u8);
            put_signed(out, above(r));
        }
    }
    pack::pack(slots, width, out);
}

/// Reads a block of `count` residuals; what lies behind them is undefined.
pub(super) fn decode(
    from: &mut Cursor<'_>,
    count: usize,
    residuals: &mut [i64; BLOCK],
) -> Result<(), ChunkError> {
    let head = from.byte("block width")?;
    let width = u32::from(head & !PATCHED);
    if width > 64 {
        return Err(ChunkError::Field { field: "block width", value: width.into() });
    }
    let reference = from.signed("block reference")?;
    let mut patches = [(0u8, 0i64); BLOCK];
    let mut patched = 0;
    if head & PATCHED != 0 {
        patched = usize::from(from.byte("patch count")?);
        if patched > count {
            return Err(ChunkError::Field { field: "patch count", value: patched as u64 });
        }
        for patch in &mut patches[..patched] {
            let at = from.byte("patch position")?;
            if usize::from(at) >= count {
                return Err(ChunkError::Field { field: "patch position", value: at.into() });
            }
            *patch = (at, from.signed("patch")?);
        }
    }
    let mut slots = [0u64; BLOCK];
    let packed = from.take(pack::packed_len(count, width), "packed residuals")?;
    pack::unpack(packed, width, &mut slots);
    for (r, slot) in residuals.iter_mut().zip(&slots) {
        *r = (*slot as i64).wrapping_add(reference);
    }
    for (at, above) in &patches[..patched] {
        let r = &mut residuals[usize::from(*at)];
        *r = r.wrapping_add(above.checked_shl(width).unwrap_or(0));
    }
    Ok(())
}
