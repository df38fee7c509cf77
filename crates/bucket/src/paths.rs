//! Every object path that Varve uses, in one file.
//!
//! ```text
//! <tenant>/catalog/00000000000000000017.json    manifest of version 17
//! <tenant>/catalog/hint.json                    a version not far from the newest
//! <tenant>/catalog/floor/00000000000000000003   third raise of the floor
//! <tenant>/catalog/leaf/<ulid>-<hash>.json      entries of one window
//! <tenant>/catalog/mask/<ulid>.json             reserved: deletion masks
//! <tenant>/blocks/<ulid>/<file>                 the files of a block, and its marks
//! <tenant>/gone/<ulid>.json                     cuts whose blocks a collection deleted
//! ```

use std::fmt;

use object_store::path::Path;
use ulid::Ulid;
use varve_model::TenantId;

/// The path of one object, relative to the bucket's root. It cannot leave the
/// root: every part is encoded as one segment.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectPath(Path);

impl ObjectPath {
    /// The path made of `parts`; characters that an object store does not
    /// take are percent-encoded.
    pub fn from_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(Path::from_iter(parts))
    }

    /// A path as a listing shows it.
    pub(crate) fn listed(path: Path) -> Self {
        Self(path)
    }

    pub(crate) fn inner(&self) -> &Path {
        &self.0
    }

    /// The path with `/` between its parts.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.as_ref().rsplit('/').next().unwrap_or_default()
    }

    /// This path with one more part.
    pub fn join(&self, part: &str) -> Self {
        Self(self.0.clone().join(part))
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The root of the bucket.
pub fn root() -> ObjectPath {
    ObjectPath(Path::ROOT)
}

/// Everything about one tenant.
pub fn tenant(tenant: &TenantId) -> ObjectPath {
    ObjectPath::from_parts([tenant.as_str()])
}

/// The tenant that a first path part of the bucket names, if it can be one.
pub fn tenant_of(part: &str) -> Option<TenantId> {
    // `*` is the only character of a tenant's name that a path encodes.
    TenantId::new(&part.replace("%2A", "*")).ok()
}

/// Manifests, hint, floor and leaves of a tenant.
pub fn catalog(tenant: &TenantId) -> ObjectPath {
    self::tenant(tenant).join("catalog")
}

/// The manifest of one version.
pub fn manifest(tenant: &TenantId, version: u64) -> ObjectPath {
    catalog(tenant).join(&format!("{version:020}.json"))
}

/// The version whose manifest has this file name.
pub fn manifest_version(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(".json")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}

/// Where a search for the newest version begins.
pub fn hint(tenant: &TenantId) -> ObjectPath {
    catalog(tenant).join("hint.json")
}

/// The `sequence`-th raise of the floor, counted from 1.
pub fn floor(tenant: &TenantId, sequence: u64) -> ObjectPath {
    catalog(tenant).join("floor").join(&format!("{sequence:020}"))
}

/// All leaves of a tenant.
pub fn leaves(tenant: &TenantId) -> ObjectPath {
    catalog(tenant).join("leaf")
}

/// One leaf; its name is that of [`crate::catalog::LeafRef`].
pub fn leaf(tenant: &TenantId, name: &str) -> ObjectPath {
    leaves(tenant).join(name)
}

/// The file name of a leaf written by attempt `id`, of content `hash`.
pub fn leaf_name(id: Ulid, hash: u128) -> String {
    format!("{}-{hash:032x}.json", id.to_string())
}

/// The attempt and the content hash that a leaf's file name holds.
pub fn parse_leaf_name(name: &str) -> Option<(Ulid, u128)> {
    let (id, hash) = name.strip_suffix(".json")?.split_once('-')?;
    if hash.len() != 32 {
        return None;
    }
    Some((Ulid::from_string(id).ok()?, u128::from_str_radix(hash, 16).ok()?))
}

/// All blocks of a tenant.
pub fn blocks(tenant: &TenantId) -> ObjectPath {
    self::tenant(tenant).join("blocks")
}

/// What collections have put down of the blocks that they deleted.
pub fn gone(tenant: &TenantId) -> ObjectPath {
    self::tenant(tenant).join("gone")
}

/// All files of one block.
pub fn block(tenant: &TenantId, id: Ulid) -> ObjectPath {
    blocks(tenant).join(&id.to_string())
}

/// One file of a block.
pub fn block_file(tenant: &TenantId, id: Ulid, file: &str) -> ObjectPath {
    block(tenant, id).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let id = Ulid::from_parts(1_700_000_000_000, 7);
        let name = leaf_name(id, 0xabc);
        assert_eq!(parse_leaf_name(&name), Some((id, 0xabc)));
        let odd = TenantId::new("A.b_c!*'()-x").unwrap();
        assert_eq!(tenant_of(tenant(&odd).as_str()), Some(odd.clone()));
        let path = manifest(&odd, 17);
        assert_eq!(manifest_version(path.file_name()), Some(17));
        assert_eq!(path.file_name(), "00000000000000000017.json");
        for bad in ["hint.json", "17.json", "+0000000000000000017.json", "x", ""] {
            assert_eq!(manifest_version(bad), None, "{bad}");
        }
        for bad in ["x.json", "a-b.json", "", "-.json"] {
            assert_eq!(parse_leaf_name(bad), None, "{bad}");
        }
    }
}
