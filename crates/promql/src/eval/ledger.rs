//! Who holds a query's memory: an account for each part of the plan, so that a
//! query which needs too much can be told what to change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ast::Span;
use crate::plan::{PartId, Plan};
use crate::source::{Biggest, MemoryBudget, OverBudget};

/// The longest part of a query that an error repeats.
const MAX_TEXT: usize = 200;

/// The accounts of one query, over the budget that it has.
pub(crate) struct Ledger {
    budget: Arc<dyn MemoryBudget>,
    text: String,
    /// One a part, and one for what is nobody's.
    accounts: Vec<Account>,
}

#[derive(Debug, Default)]
struct Account {
    span: Span,
    used: AtomicUsize,
    /// The most that it was.
    peak: AtomicUsize,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({} accounts)", self.accounts.len())
    }
}

impl Ledger {
    /// Empty accounts.
    pub(crate) fn new(budget: Arc<dyn MemoryBudget>, text: &str, plan: &Plan) -> Arc<Self> {
        let all = plan.parts.iter().map(|part| part.span).chain([plan.root.span]);
        let accounts = all.map(|span| Account { span, ..Account::default() }).collect();
        Arc::new(Self { budget, text: text.to_owned(), accounts })
    }

    /// The account of what is nobody's.
    pub(crate) fn nobody(&self) -> PartId {
        self.accounts.len() - 1
    }

    /// The budget that a part's memory is taken from.
    pub(crate) fn of(self: &Arc<Self>, part: PartId) -> Arc<dyn MemoryBudget> {
        Arc::new(Part { ledger: Arc::clone(self), part })
    }

    pub(crate) fn take(&self, part: PartId, bytes: usize) -> Result<(), OverBudget> {
        let over = |e: OverBudget| OverBudget { biggest: self.biggest(part, bytes), ..e };
        self.budget.take(bytes).map_err(over)?;
        self.add(part, bytes);
        Ok(())
    }

    pub(crate) fn give(&self, part: PartId, bytes: usize) {
        self.accounts[part].used.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.give(bytes);
    }

    /// Moves what one part holds to another.
    pub(crate) fn assign(&self, from: PartId, to: PartId, bytes: usize) {
        self.accounts[from].used.fetch_sub(bytes, Ordering::Relaxed);
        self.add(to, bytes);
    }

    fn add(&self, part: PartId, bytes: usize) {
        let Account { used, peak, .. } = &self.accounts[part];
        let now = used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        peak.fetch_max(now, Ordering::Relaxed);
    }

    /// The most that a part has held.
    pub(crate) fn peak(&self, part: PartId) -> usize {
        self.accounts[part].peak.load(Ordering::Relaxed)
    }

    /// The part that holds most, were `asked` more given to `part`.
    fn biggest(&self, part: PartId, asked: usize) -> Option<Biggest> {
        let held = |(i, account): (usize, &Account)| {
            let more = if i == part { asked } else { 0 };
            (account.used.load(Ordering::Relaxed).saturating_add(more), account.span)
        };
        let (bytes, span) = self.accounts.iter().enumerate().map(held).max_by_key(|(n, _)| *n)?;
        let text = self.text.get(span.start as usize..span.end as usize).unwrap_or_default();
        let text = if text.is_empty() { &self.text } else { text };
        let mut part: String = text.chars().take(MAX_TEXT).collect();
        if part.len() < text.len() {
            part.push('…');
        }
        Some(Biggest { part, bytes })
    }
}

/// One part's view of the budget.
struct Part {
    ledger: Arc<Ledger>,
    part: PartId,
}

impl MemoryBudget for Part {
    fn take(&self, bytes: usize) -> Result<(), OverBudget> {
        self.ledger.take(self.part, bytes)
    }

    fn give(&self, bytes: usize) {
        self.ledger.give(self.part, bytes);
    }
}
