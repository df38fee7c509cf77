//! The Zstandard frame around a batch's columns.
//!
//! Each thread keeps its contexts: to make one asks the processor what it can
//! do, which takes a virtual machine some ten microseconds, and batches of a
//! few hundred samples are many.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

/// Zstandard's cheapest ordinary level.
const LEVEL: i32 = 1;
/// A frame is first believed to hold so many times its own length.
const LIKELY_RATIO: usize = 8;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Packs bytes; `None` if Zstandard cannot.
pub(super) fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        if compressor.is_none() {
            *compressor = Compressor::new(LEVEL).ok();
        }
        compressor.as_mut()?.compress(bytes).ok()
    })
}

/// Unpacks a frame of exactly `len` bytes; `None` if it is none. Room grows
/// with what is in the frame, not with what `len` claims.
pub(super) fn unpack(frame: &[u8], len: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        if decompressor.is_none() {
            *decompressor = Decompressor::new().ok();
        }
        let decompressor = decompressor.as_mut()?;
        let mut room = len.min(frame.len().saturating_mul(LIKELY_RATIO));
        loop {
            let mut out = Vec::with_capacity(room);
            match decompressor.decompress_to_buffer(frame, &mut out) {
                Ok(got) => return (got == len).then_some(out),
                // It may hold more than there was room for.
                Err(_) if room < len => room = len.min(room.saturating_mul(2).max(1)),
                Err(_) => return None,
            }
        }
    })
}
