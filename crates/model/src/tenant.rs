//! Who a sample belongs to.

use std::fmt;
use std::sync::Arc;

/// A tenant's name: 1 to 150 bytes of `[a-zA-Z0-9!_.*'()-]`, not `.` or `..`
/// and not beginning with `__` (the rule of Mimir and Cortex, so that ids move
/// over unchanged; `__` is kept for Varve's own use). It is safe as one path
/// segment of an object store.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// The longest tenant name, in bytes.
const MAX_LEN: usize = 150;

/// Why a tenant name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// Nothing was given.
    #[error("tenant id is empty")]
    Empty,
    /// Longer than 150 bytes.
    #[error("tenant id is {0} bytes long, the limit is {MAX_LEN}")]
    TooLong(usize),
    /// A character outside the allowed set.
    #[error("tenant id {0:?} has the unsupported character {1:?}")]
    Character(String, char),
    /// `.`, `..`, or a name that begins with `__`.
    #[error("tenant id {0:?} is reserved")]
    Reserved(String),
}

impl TenantId {
    /// The tenant of requests that name none.
    pub const ANONYMOUS: &'static str = "anonymous";

    /// Checks and takes a name.
    pub fn new(id: &str) -> Result<Self, TenantError> {
        if id.is_empty() {
            return Err(TenantError::Empty);
        }
        if id.len() > MAX_LEN {
            return Err(TenantError::TooLong(id.len()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
        if let Some(c) = id.chars().find(|c| !allowed(*c)) {
            return Err(TenantError::Character(id.to_owned(), c));
        }
        if id == "." || id == ".." || id.starts_with("__") {
            return Err(TenantError::Reserved(id.to_owned()));
        }
        Ok(Self(id.into()))
    }

    /// The tenant of requests that name none.
    pub fn anonymous() -> Self {
        Self(Self::ANONYMOUS.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let ok = ["a", "team-1", "A.b_c!*'()", "anonymous"];
        for id in ok {
            assert_eq!(TenantId::new(id).map(|t| t.to_string()), Ok(id.to_owned()));
        }
        let long = "x".repeat(151);
        let bad = ["", ".", "..", "a/b", "a|b", "ä", "__varve", "a b", long.as_str()];
        for id in bad {
            assert!(TenantId::new(id).is_err(), "{id:?} was taken");
        }
    }
}
