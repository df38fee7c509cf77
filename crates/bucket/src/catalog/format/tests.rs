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

/// The JSON of `manifest(&[10])`.
fn json(format: u32) -> String {
    let rest = concat!(
        r#""tenant":"anonymous","version":7,"token":"t","created_ms":-8,"#,
        r#""causes":[{"ship":{"partition":1,"window_end":2,"cut":3}},"fence","merge"],"#,
        r#""leaves":[{"window_end":10,"#,
        r#""name":"00000000010000000000000002-00000000000000000000000000000003.json","#,
        r#""size":4,"blocks":1,"start":5,"changed_ms":6}],"masks":[]}"#
    );
    format!(r#"{{"format":{format},{rest}"#)
}

/// What was written once stays readable: format 1 was plain JSON, this frame
/// of format 2 was written when it was new.
#[test]
fn golden() {
    let check = |bytes: &[u8]| {
        let read = Manifest::decode(&path(), "anonymous", 7, bytes).unwrap();
        assert_eq!(read, manifest(&[10]));
    };
    check(json(1).as_bytes());
    check(GOLDEN_2);
    let bytes = manifest(&[10]).encode().unwrap();
    assert_eq!(std::str::from_utf8(&unpack(&path(), &bytes).unwrap()).unwrap(), json(2));
}

const GOLDEN_2: &[u8] = include_bytes!("../../../testdata/manifest-2.json.zst");

#[test]
fn many_entries_take_few_bytes() {
    let manifest = manifest(&Vec::from_iter(0..500));
    let (json, packed) = (encode(&manifest).unwrap(), manifest.encode().unwrap());
    assert!(packed.len() * 10 < json.len(), "{} of {} bytes", packed.len(), json.len());
    assert_eq!(Manifest::decode(&path(), "anonymous", 7, &packed).unwrap(), manifest);
}

#[test]
fn a_newer_format_is_named() {
    let found = Manifest { format: FORMAT + 1, ..manifest(&[]) };
    for bytes in [encode(&found).unwrap(), found.encode().unwrap()] {
        let error = Manifest::decode(&path(), "anonymous", 7, &bytes).unwrap_err();
        assert!(matches!(error, CatalogError::Format { found: 3, supported: 2, .. }), "{error}");
    }
}

#[test]
fn golden_with_fresh_entries() {
    let cuts = vec![CutKey { partition: 1, window_end: 2, cut: 3 }];
    let fresh = vec![Leaf { cuts, ..Leaf::empty(9) }];
    let manifest = Manifest { causes: Vec::new(), fresh, ..manifest(&[]) };
    let json = concat!(
        r#"{"format":2,"tenant":"anonymous","version":7,"token":"t","created_ms":-8,"#,
        r#""causes":[],"leaves":[],"fresh":[{"format":2,"window_end":9,"blocks":[],"#,
        r#""cuts":[{"partition":1,"window_end":2,"cut":3}]}],"masks":[]}"#
    );
    assert_eq!(std::str::from_utf8(&encode(&manifest).unwrap()).unwrap(), json);
    let read = Manifest::decode(&path(), "anonymous", 7, json.as_bytes()).unwrap();
    assert_eq!(read, manifest);
}

#[test]
fn contradictions_are_refused() {
    let check = |manifest: &Manifest, tenant: &str, version: u64, expected: &str| {
        let bytes = manifest.encode().unwrap();
        let error = Manifest::decode(&path(), tenant, version, &bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&manifest(&[]), "anonymous", 8, "version 7");
    check(&manifest(&[]), "other", 7, "\"anonymous\"");
    check(&manifest(&[3, 2]), "anonymous", 7, "not in order");
    check(&manifest(&[3, 3]), "anonymous", 7, "not in order");
    let twice = Manifest { fresh: vec![Leaf::empty(3), Leaf::empty(3)], ..manifest(&[]) };
    check(&twice, "anonymous", 7, "fresh entries are not in order");
    let newer = Manifest { format: FORMAT + 1, ..manifest(&[]) };
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
        let manifest = manifest(&[1, 2, 3]);
        for whole in [encode(&manifest).unwrap(), manifest.encode().unwrap()] {
            let mut bytes = whole.to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let read = Manifest::decode(&path(), "anonymous", 7, &bytes);
            if whole.starts_with(&ZSTD_MAGIC) {
                // A frame has a checksum, but a bit or two that mean nothing.
                prop_assert!(read.is_err() || read.unwrap() == manifest, "byte {at} is {byte}");
            }
            bytes.truncate(at);
            prop_assert!(Manifest::decode(&path(), "anonymous", 7, &bytes).is_err());
        }
    }
}
