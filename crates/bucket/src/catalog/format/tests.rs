//! Catalog objects: golden bytes, and whatever else a bucket may hold.

use proptest::prelude::*;
use varve_model::TenantId;

use super::*;

fn path() -> ObjectPath {
    paths::manifest(&TenantId::anonymous(), 7)
}

fn manifest(windows: &[i64]) -> Manifest {
    let leaf = |window_end: &i64| LeafRef {
        window_end: *window_end,
        name: paths::leaf_name(Ulid::from_parts(1, 2), 3),
        size: 4,
        blocks: 1,
        start: window_end - 5,
        changed_ms: 6,
    };
    Manifest {
        format: FORMAT,
        tenant: TenantId::ANONYMOUS.to_owned(),
        version: 7,
        token: "t".to_owned(),
        created_ms: -8,
        causes: vec![
            Cause::Ship(CutKey { partition: 1, window_end: 2, cut: 3 }),
            Cause::Fence,
            Cause::Merge,
        ],
        leaves: windows.iter().map(leaf).collect(),
        fresh: Vec::new(),
        masks: Vec::new(),
    }
}

/// The bytes of format 1 stay readable: this one was written by the first
/// version of this program.
#[test]
fn golden() {
    let json = concat!(
        r#"{"format":1,"tenant":"anonymous","version":7,"token":"t","created_ms":-8,"#,
        r#""causes":[{"ship":{"partition":1,"window_end":2,"cut":3}},"fence","merge"],"#,
        r#""leaves":[{"window_end":10,"#,
        r#""name":"00000000010000000000000002-00000000000000000000000000000003.json","#,
        r#""size":4,"blocks":1,"start":5,"changed_ms":6}],"masks":[]}"#
    );
    let manifest = manifest(&[10]);
    assert_eq!(std::str::from_utf8(&encode(&manifest).unwrap()).unwrap(), json);
    let read = Manifest::decode(&path(), "anonymous", 7, json.as_bytes()).unwrap();
    assert_eq!(read, manifest);
}

/// What format 2 adds.
#[test]
fn golden_with_fresh_entries() {
    let cuts = vec![CutKey { partition: 1, window_end: 2, cut: 3 }];
    let fresh = vec![Leaf { cuts, ..Leaf::empty(9) }];
    let manifest = Manifest { causes: Vec::new(), fresh, ..manifest(&[]) }.with_format();
    let json = concat!(
        r#"{"format":2,"tenant":"anonymous","version":7,"token":"t","created_ms":-8,"#,
        r#""causes":[],"leaves":[],"fresh":[{"format":1,"window_end":9,"blocks":[],"#,
        r#""cuts":[{"partition":1,"window_end":2,"cut":3}]}],"masks":[]}"#
    );
    assert_eq!(std::str::from_utf8(&encode(&manifest).unwrap()).unwrap(), json);
    let read = Manifest::decode(&path(), "anonymous", 7, json.as_bytes()).unwrap();
    assert_eq!(read, manifest);
    let none = Manifest { fresh: Vec::new(), ..manifest }.with_format();
    assert_eq!(none.format, FORMAT);
}

#[test]
fn contradictions_are_refused() {
    let check = |manifest: &Manifest, tenant: &str, version: u64, expected: &str| {
        let bytes = encode(manifest).unwrap();
        let error = Manifest::decode(&path(), tenant, version, &bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&manifest(&[]), "anonymous", 8, "version 7");
    check(&manifest(&[]), "other", 7, "\"anonymous\"");
    check(&manifest(&[3, 2]), "anonymous", 7, "not in order");
    check(&manifest(&[3, 3]), "anonymous", 7, "not in order");
    let twice = Manifest { fresh: vec![Leaf::empty(3), Leaf::empty(3)], ..manifest(&[]) };
    check(&twice, "anonymous", 7, "fresh entries are not in order");
    let newer = Manifest { format: FORMAT_FRESH + 1, ..manifest(&[]) };
    check(&newer, "anonymous", 7, "format 3");
    let (reference, bytes) = Leaf::empty(5).encode(Ulid::nil(), 0).unwrap();
    assert!(Leaf::decode(&path(), &reference, &bytes).is_ok());
    let other = LeafRef { window_end: 6, ..reference.clone() };
    assert!(Leaf::decode(&path(), &other, &bytes).is_err());
    let more = LeafRef { blocks: 1, ..reference };
    assert!(Leaf::decode(&path(), &more, &bytes).is_err());
}

proptest! {
    #[test]
    fn foreign_bytes_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let reference = manifest(&[1]).leaves[0].clone();
        prop_assert!(Manifest::decode(&path(), "anonymous", 7, &bytes).is_err());
        prop_assert!(Leaf::decode(&path(), &reference, &bytes).is_err());
        prop_assert!(decode::<FloorObject>(&path(), &bytes).is_err());
        prop_assert!(decode::<Hint>(&path(), &bytes).is_err());
    }

    #[test]
    fn damaged_manifests_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode(&manifest(&[1, 2, 3])).unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Manifest::decode(&path(), "anonymous", 7, &bytes);
        bytes.truncate(at);
        prop_assert!(Manifest::decode(&path(), "anonymous", 7, &bytes).is_err());
    }
}
