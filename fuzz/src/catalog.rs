//! The catalog's objects: whatever one of them says, reading, committing,
//! collecting and rebuilding end with an answer or an error.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use object_store::memory::InMemory;
use tokio::runtime::{Builder, Runtime};
use varve_bucket::catalog::{Cause, CutKey, gc, rebuild::rebuild_catalog};
use varve_bucket::{Bucket, BucketConfig, Catalog, CatalogConfig, Change, Metrics, paths};
use varve_model::{TenantId, TimeRange, WINDOW_MS};
use varve_runtime::ManualClock;
use xxhash_rust::xxh3::xxh3_128;

const NOW_MS: i64 = 238_889 * WINDOW_MS;
const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Texts that the first bytes of an input may begin from.
const MANIFEST: &str = concat!(
    r#"{"format":2,"tenant":"t","version":1,"token":"a","created_ms":1720000800000,"#,
    r#""causes":[{"ship":{"partition":1,"window_end":1720000800000,"cut":3}}],"#,
    r#""leaves":[],"fresh":[{"format":2,"window_end":1720000800000,"blocks":[],"#,
    r#""cuts":[{"partition":1,"window_end":1720000800000,"cut":3}]}],"masks":[]}"#
);
const LEAF: &str = concat!(
    r#"{"format":2,"window_end":1720000800000,"blocks":[],"#,
    r#""cuts":[{"partition":1,"window_end":1720000800000,"cut":3}]}"#
);
const FLOOR: &str = r#"{"format":2,"version":1,"seen":2,"token":"b","created_ms":1720000800000}"#;
const HINT: &str = r#"{"format":2,"version":1,"floor_sequence":0}"#;
const GONE: &str = r#"{"format":2,"cuts":[{"partition":1,"window_end":1720000800000,"cut":3}]}"#;
/// An entry of a block, to be put where one may stand.
fn entry() -> String {
    let json = include_bytes!("../../crates/block/testdata/block-v1/block.json");
    let meta = varve_block::BlockMeta::from_json(json).expect("the golden block.json");
    serde_json::to_string(&varve_block::BlockEntry::new(&meta)).expect("an entry")
}

/// A byte to choose the object, a byte that says whether what follows is its
/// text or changes of a good one: a little-endian position and a byte each.
pub fn objects(bytes: &[u8]) {
    let [choice, raw, rest @ ..] = bytes else { return };
    let choice = usize::from(*choice) % 6;
    static TEXTS: OnceLock<[String; 6]> = OnceLock::new();
    let texts = TEXTS.get_or_init(|| {
        let with = |text: &str| text.replace("\"blocks\":[]", &format!("\"blocks\":[{}]", entry()));
        let block = include_str!("../../crates/block/testdata/block-v1/block.json");
        let other = [FLOOR, HINT, GONE, block].map(str::to_owned);
        let [floor, hint, gone, block] = other;
        [with(MANIFEST), with(LEAF), floor, hint, gone, block]
    });
    let text = if raw & 1 == 1 {
        rest.to_vec()
    } else {
        let mut text = texts[choice].clone().into_bytes();
        for change in rest.as_chunks::<3>().0 {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % text.len();
            text[at] = change[2];
        }
        text
    };
    runtime().block_on(use_all(choice, text));
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_current_thread().enable_time().build().expect("a runtime"))
}

async fn use_all(choice: usize, text: Vec<u8>) {
    let tenant = TenantId::new("t").expect("a name");
    let config = BucketConfig { max_retries: 0, retry_pause_ms: 0, ..BucketConfig::default() };
    let bucket = Bucket::from_store(Arc::new(InMemory::new()), &config, Metrics::default());
    let mut manifest = MANIFEST.as_bytes().to_vec();
    let path = match choice {
        0 => {
            manifest.clone_from(&text);
            paths::manifest(&tenant, 1)
        }
        1 => {
            let name = format!("{ID}-{:032x}.json", xxh3_128(&text));
            // As many as it says, so that it is not refused for that alone.
            let leaf: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
            let blocks = leaf.and_then(|l| l["blocks"].as_array().map(Vec::len)).unwrap_or(0);
            manifest = format!(
                r#"{{"format":2,"tenant":"t","version":1,"token":"a","created_ms":1,"causes":[],"leaves":[{{"window_end":1720000800000,"name":"{name}","size":{},"blocks":{blocks},"start":1719993600000,"changed_ms":1}}]}}"#,
                text.len()
            )
            .into_bytes();
            paths::leaf(&tenant, &name)
        }
        2 => paths::floor(&tenant, 1),
        3 => paths::hint(&tenant),
        4 => paths::gone(&tenant).join(&format!("{ID}.json")),
        _ => {
            let id = ID.parse().expect("an id");
            paths::block_file(&tenant, id, "block.json")
        }
    };
    bucket.put(&path, Bytes::from(text)).await.expect("memory");
    bucket.put(&paths::manifest(&tenant, 1), Bytes::from(manifest)).await.expect("memory");

    let clock = Arc::new(ManualClock::new(NOW_MS));
    let catalog =
        Catalog::open(bucket, clock.clone(), CatalogConfig::default()).expect("a catalog");
    if let Ok(newest) = catalog.newest(&tenant).await {
        newest.block_count();
        let _ = newest.blocks(TimeRange::window(NOW_MS)).await;
        let _ = newest.has_cut(CutKey { partition: 1, window_end: NOW_MS, cut: 3 }).await;
        for block in newest.all_blocks().await.unwrap_or_default() {
            let change = Change::remove(Cause::Retention, [&block]);
            let _ = catalog.commit(&tenant, change).await;
        }
    }
    clock.advance(std::time::Duration::from_secs(3 * 86_400));
    let _ = gc::collect(&catalog, &tenant).await;
    let _ = rebuild_catalog(&catalog, &tenant).await;
}
