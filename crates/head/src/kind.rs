//! The kinds of data that a chunk may hold.

/// What a chunk holds. The number is the byte in sealed files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Float = 0,
    Histogram = 1,
    Exemplar = 2,
}

impl Kind {
    pub(crate) fn from_u8(byte: u8) -> Option<Self> {
        [Self::Float, Self::Histogram, Self::Exemplar].into_iter().find(|k| *k as u8 == byte)
    }
}
