//! From a URL to an object store: local folder, memory, S3, Azure, GCS.
//!
//! Every remote store is opened twice: once without retries of its own, so
//! that [`crate::Bucket`] sees and counts each failed attempt (it must know
//! whether a conditional put was ambiguous), and once with them for multipart
//! uploads and long listings, which can only be resumed from inside.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use parking_lot::Mutex;
use varve_log::RealDisk;

use crate::local::LocalStore;
use crate::{BucketConfig, BucketError, Result};

/// The two faces of one opened store.
pub(crate) struct Opened {
    /// Reports every failed attempt.
    pub(crate) plain: Arc<dyn ObjectStore>,
    /// Tries again by itself inside uploads of many parts and listings.
    pub(crate) patient: Arc<dyn ObjectStore>,
}

/// Buckets in memory, by name: they live as long as the process.
static MEMORY: Mutex<Option<HashMap<String, Arc<InMemory>>>> = Mutex::new(None);

/// Opens the store that `url` names.
pub(crate) fn open(url: &str, config: &BucketConfig) -> Result<Opened> {
    let fail = |detail: String| BucketError::Config { url: url.to_owned(), detail };
    let Some((scheme, rest)) = url.split_once("://") else {
        return local(url, fail);
    };
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if scheme == "file" {
        // file:///path has an empty host; file://path would be ambiguous.
        if !name.is_empty() && name != "localhost" {
            return Err(fail("a file URL has three slashes: file:///path".to_owned()));
        }
        return local(&format!("/{prefix}"), fail);
    }
    if scheme == "memory" {
        let mut stores = MEMORY.lock();
        let store = stores.get_or_insert_default().entry(name.to_owned()).or_default().clone();
        return prefixed(store.clone(), store, prefix, fail);
    }
    if name.is_empty() {
        return Err(fail("no bucket is named".to_owned()));
    }
    let (plain, patient) = match scheme {
        "s3" | "s3a" => both(config, |retry| s3(name, config, retry)).map_err(fail)?,
        "az" | "azure" => both(config, |retry| azure(name, config, retry)).map_err(fail)?,
        "gs" | "gcs" => both(config, |retry| gcs(name, config, retry)).map_err(fail)?,
        other => {
            let detail =
                format!("scheme {other:?} is not one of file, memory, s3, az, azure, gs, gcs");
            return Err(fail(detail));
        }
    };
    prefixed(plain, patient, prefix, fail)
}

type Store = Arc<dyn ObjectStore>;

fn prefixed(
    plain: Store,
    patient: Store,
    prefix: &str,
    fail: impl Fn(String) -> BucketError,
) -> Result<Opened> {
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|e| fail(e.to_string()))?;
    if prefix.as_ref().is_empty() {
        return Ok(Opened { plain, patient });
    }
    Ok(Opened {
        plain: Arc::new(PrefixStore::new(plain, prefix.clone())),
        patient: Arc::new(PrefixStore::new(patient, prefix)),
    })
}

fn local(path: &str, fail: impl Fn(String) -> BucketError) -> Result<Opened> {
    if path.is_empty() {
        return Err(fail("no path is given".to_owned()));
    }
    let store = LocalStore::open(Arc::new(RealDisk), std::path::Path::new(path));
    let store: Store = Arc::new(store.map_err(|e| fail(format!("open folder: {e}")))?);
    Ok(Opened { plain: store.clone(), patient: store })
}

fn both(
    config: &BucketConfig,
    build: impl Fn(RetryConfig) -> Result<Store, String>,
) -> Result<(Store, Store), String> {
    let none = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let patient = RetryConfig {
        max_retries: config.max_retries as usize,
        retry_timeout: config.timeout(0) * 4,
        backoff: BackoffConfig {
            init_backoff: std::time::Duration::from_millis(config.retry_pause_ms.max(1)),
            max_backoff: std::time::Duration::from_millis(config.retry_max_pause_ms.max(1)),
            base: 2.0,
        },
    };
    Ok((build(none)?, build(patient)?))
}

/// Applies the configured options to a provider's builder.
fn configure<K: FromStr, B>(
    builder: B,
    config: &BucketConfig,
    set: impl Fn(B, K, &str) -> B,
) -> Result<B, String>
where
    K::Err: std::fmt::Display,
{
    config.options.iter().try_fold(builder, |builder, (key, value)| {
        let key = key.to_ascii_lowercase();
        let parsed = K::from_str(&key).map_err(|e| format!("option {key:?}: {e}"))?;
        Ok(set(builder, parsed, value))
    })
}

/// The HTTP client's own timeout is the request's: [`crate::Bucket`] knows how
/// large each one is. Only connecting is bounded here.
fn client() -> ClientOptions {
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(std::time::Duration::from_secs(10))
}

fn s3(bucket: &str, config: &BucketConfig, retry: RetryConfig) -> Result<Store, String> {
    let builder = AmazonS3Builder::from_env().with_client_options(client());
    let builder =
        configure::<AmazonS3ConfigKey, _>(builder, config, |b, k, v| b.with_config(k, v))?;
    let built = builder.with_bucket_name(bucket).with_retry(retry).build();
    Ok(Arc::new(built.map_err(|e| e.to_string())?))
}

fn azure(container: &str, config: &BucketConfig, retry: RetryConfig) -> Result<Store, String> {
    let builder = MicrosoftAzureBuilder::from_env().with_client_options(client());
    let builder = configure::<AzureConfigKey, _>(builder, config, |b, k, v| b.with_config(k, v))?;
    let built = builder.with_container_name(container).with_retry(retry).build();
    Ok(Arc::new(built.map_err(|e| e.to_string())?))
}

fn gcs(bucket: &str, config: &BucketConfig, retry: RetryConfig) -> Result<Store, String> {
    let builder = GoogleCloudStorageBuilder::from_env().with_client_options(client());
    let builder = configure::<GoogleConfigKey, _>(builder, config, |b, k, v| b.with_config(k, v))?;
    let built = builder.with_bucket_name(bucket).with_retry(retry).build();
    Ok(Arc::new(built.map_err(|e| e.to_string())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, options: &[(&str, &str)], error: Option<&str>) {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let config = BucketConfig { options, ..BucketConfig::default() };
        match (open(url, &config), error) {
            (Ok(_), None) => {}
            (Ok(_), Some(e)) => panic!("{url} was opened, expected {e:?}"),
            (Err(got), Some(e)) => assert!(got.to_string().contains(e), "{url}: {got}"),
            (Err(got), None) => panic!("{url}: {got}"),
        }
    }

    #[test]
    fn urls_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b").display().to_string();
        check(&path, &[], None);
        check(&format!("file://{path}"), &[], None);
        check("memory://", &[], None);
        check("memory://open-test/pre/fix", &[], None);
        let keys = [
            ("aws_access_key_id", "a"),
            ("aws_secret_access_key", "b"),
            ("aws_region", "x"),
            ("aws_endpoint", "http://127.0.0.1:1"),
            ("allow_http", "true"),
        ];
        check("s3://bucket/prefix", &keys, None);
        check("az://container", &[("azure_storage_use_emulator", "true")], None);
        check("s3://bucket", &[("aws_regoin", "x")], Some("aws_regoin"));
        check("file://host/path", &[], Some("three slashes"));
        check("ftp://host/path", &[], Some("\"ftp\" is not one of"));
        check("s3://", &[], Some("no bucket"));
        check("", &[], Some("no path"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let options = [("aws_secret_access_key".to_owned(), "hush".to_owned())].into();
        let config = BucketConfig { options, ..BucketConfig::default() };
        assert!(!format!("{config:?}").contains("hush"));
    }
}
