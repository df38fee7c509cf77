//! The stores that several processes can share, each started and described by
//! the URL and the options with which any process opens it.

use std::collections::BTreeMap;

use varve_bucket::{Bucket, BucketConfig, Metrics};
use varve_testkit::{FakeGcs, servers};

/// A running store. What it needs to run ends when it is dropped.
pub struct Shared {
    pub url: String,
    pub options: BTreeMap<String, String>,
    _needs: Box<dyn std::any::Any + Send>,
}

impl Shared {
    fn new(
        url: &str,
        options: impl IntoIterator<Item = (&'static str, String)>,
        needs: impl std::any::Any + Send,
    ) -> Self {
        let options = options.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        Self { url: url.to_owned(), options, _needs: Box::new(needs) }
    }

    pub fn open(&self) -> Bucket {
        open(&self.url, self.options.clone())
    }

    pub fn local() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}/new/folder", dir.path().display());
        Self::new(&url, [], dir)
    }

    /// `None` when moto is not installed.
    pub fn s3() -> Option<Self> {
        let server = servers::moto("testbucket")?.unwrap();
        let options = [
            ("aws_endpoint", server.url()),
            ("aws_region", "us-east-1".to_owned()),
            ("aws_access_key_id", "test".to_owned()),
            ("aws_secret_access_key", "test".to_owned()),
            ("allow_http", "true".to_owned()),
        ];
        Some(Self::new("s3://testbucket/some/prefix", options, server))
    }

    /// `None` when azurite is not installed.
    pub fn azure() -> Option<Self> {
        let server = servers::azurite("testcontainer")?.unwrap();
        let endpoint = format!("{}/{}", server.url(), servers::AZURITE_ACCOUNT);
        let options = [
            ("azure_storage_account_name", servers::AZURITE_ACCOUNT.to_owned()),
            ("azure_storage_account_key", servers::AZURITE_KEY.to_owned()),
            ("azure_storage_endpoint", endpoint),
            ("allow_http", "true".to_owned()),
        ];
        Some(Self::new("az://testcontainer/some/prefix", options, server))
    }

    pub async fn gcs() -> Self {
        let server = FakeGcs::start().await.unwrap();
        let options = [
            ("google_service_account_key", server.service_account_key()),
            ("allow_http", "true".to_owned()),
        ];
        Self::new("gs://testbucket/some/prefix", options, server)
    }
}

pub fn open(url: &str, options: BTreeMap<String, String>) -> Bucket {
    let config = BucketConfig { options, part_bytes: 5 << 20, ..super::bucket_config() };
    Bucket::open_with(url, &config, Metrics::default()).unwrap()
}
