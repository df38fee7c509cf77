//! Memory of queries: a query's budget is part of its tenant's, that of the
//! process'. Taking from a query takes from all three, or from none.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use prometheus::IntGauge;
use varve_model::TenantId;
use varve_promql::source::{MemoryBudget, OverBudget};

use crate::QueryConfig;

/// Bytes in use under one limit.
#[derive(Debug)]
struct Account {
    scope: &'static str,
    setting: &'static str,
    limit: usize,
    used: AtomicUsize,
}

impl Account {
    fn new(scope: &'static str, setting: &'static str, limit: u64) -> Arc<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Arc::new(Self { scope, setting, limit, used: AtomicUsize::new(0) })
    }

    fn take(&self, bytes: usize) -> Result<(), OverBudget> {
        let more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map(drop).map_err(
            |used| OverBudget {
                scope: self.scope,
                limit: self.limit,
                used,
                asked: bytes,
                setting: self.setting,
                biggest: None,
            },
        )
    }

    fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The budgets of a process.
#[derive(Debug)]
pub struct Budgets {
    config: QueryConfig,
    process: Arc<Account>,
    tenants: Mutex<HashMap<TenantId, Weak<Account>>>,
    shown: IntGauge,
}

impl Budgets {
    /// Nothing in use; `shown` is kept at what is.
    pub fn new(config: &QueryConfig, shown: IntGauge) -> Self {
        let process = Account::new("process", "querier.reads.max_memory", config.max_memory.0);
        Self { config: config.clone(), process, tenants: Mutex::default(), shown }
    }

    /// The budget of a new query. A tenant's account lives as long as a query of it.
    pub fn query(&self, tenant: &TenantId) -> Arc<QueryBudget> {
        let limit = self.config.max_memory_per_query.0;
        Arc::new(QueryBudget {
            query: Account::new("query", "querier.reads.max_memory_per_query", limit),
            tenant: self.tenant(tenant),
            process: Arc::clone(&self.process),
            shown: self.shown.clone(),
        })
    }

    /// Bytes that all queries hold now.
    pub fn used(&self) -> usize {
        self.process.used.load(Ordering::Relaxed)
    }

    fn tenant(&self, tenant: &TenantId) -> Arc<Account> {
        let mut tenants = self.tenants.lock();
        tenants.retain(|_, account| account.strong_count() > 0);
        if let Some(account) = tenants.get(tenant).and_then(Weak::upgrade) {
            return account;
        }
        let limit = self.config.max_memory_per_tenant.0;
        let account = Account::new("tenant", "querier.reads.max_memory_per_tenant", limit);
        tenants.insert(tenant.clone(), Arc::downgrade(&account));
        account
    }
}

/// The memory of one query.
#[derive(Debug)]
pub struct QueryBudget {
    query: Arc<Account>,
    tenant: Arc<Account>,
    process: Arc<Account>,
    shown: IntGauge,
}

impl QueryBudget {
    /// Bytes in use now.
    pub fn used(&self) -> usize {
        self.query.used.load(Ordering::Relaxed)
    }
}

impl MemoryBudget for QueryBudget {
    fn take(&self, bytes: usize) -> Result<(), OverBudget> {
        self.query.take(bytes)?;
        self.tenant.take(bytes).inspect_err(|_| self.query.give(bytes))?;
        self.process.take(bytes).inspect_err(|_| {
            self.tenant.give(bytes);
            self.query.give(bytes);
        })?;
        self.shown.add(i64::try_from(bytes).unwrap_or(0));
        Ok(())
    }

    fn give(&self, bytes: usize) {
        self.shown.sub(i64::try_from(bytes).unwrap_or(0));
        self.process.give(bytes);
        self.tenant.give(bytes);
        self.query.give(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use varve_runtime::config::ByteSize;

    #[test]
    fn a_refused_take_leaves_every_account_as_it_was() {
        let config = QueryConfig {
            max_memory: ByteSize(150),
            max_memory_per_tenant: ByteSize(120),
            max_memory_per_query: ByteSize(100),
            ..QueryConfig::default()
        };
        let shown = IntGauge::new("shown", "bytes").expect("valid");
        let budgets = Budgets::new(&config, shown.clone());
        let tenant = |id| TenantId::new(id).expect("valid");
        let (a, b, c) =
            (budgets.query(&tenant("a")), budgets.query(&tenant("a")), budgets.query(&tenant("c")));
        let scope = |r: Result<(), OverBudget>| r.map_err(|e| e.scope);
        assert_eq!(scope(a.take(101)), Err("query"));
        assert_eq!(scope(a.take(100)), Ok(()));
        assert_eq!(scope(b.take(21)), Err("tenant"));
        assert_eq!(scope(c.take(51)), Err("process"));
        assert_eq!((b.used(), c.used(), budgets.used()), (0, 0, 100));
        a.give(100);
        assert_eq!(scope(c.take(51)), Ok(()));
        assert_eq!((budgets.used(), shown.get()), (51, 51));
    }
}
