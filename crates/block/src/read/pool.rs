//! Label sets that are kept for further selects, each once: blocks of the same
//! tenant hold the same series window after window.

use std::sync::{Mutex, PoisonError};

use varve_model::{LabelSet, Labels};

/// Sets that are looked through for dead ones at least.
const MIN_SETS: usize = 1 << 12;

/// Label sets that several readers share.
#[derive(Debug, Default)]
pub struct LabelPool(Mutex<Sets>);

#[derive(Debug, Default)]
struct Sets {
    all: LabelSet,
    /// Bytes behind them.
    memory: usize,
    /// How many there may be before dead ones are looked for.
    limit: usize,
}

impl LabelPool {
    /// Equal labels to these that everybody shares.
    pub(super) fn share(&self, labels: Labels) -> Labels {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sets.all.get(&labels) {
            return known.clone();
        }
        if sets.all.len() >= sets.limit.max(MIN_SETS) {
            sets.purge();
            sets.limit = 2 * sets.all.len();
        }
        sets.memory += size_of_set(&labels);
        sets.all.insert(labels.clone());
        labels
    }

    /// Forgets what nobody else holds any more.
    pub fn purge(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).purge();
    }

    /// Bytes of memory behind all sets.
    pub fn memory(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).memory
    }
}

impl Sets {
    fn purge(&mut self) {
        let memory = &mut self.memory;
        self.all.retain(|labels| {
            let held = labels.is_shared();
            if !held {
                *memory -= size_of_set(labels);
            }
            held
        });
    }
}

/// Bytes behind a set and its place among the others.
fn size_of_set(labels: &Labels) -> usize {
    labels.memory() + 2 * size_of::<Labels>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_one_and_go_with_the_last_who_holds_them() {
        let pool = LabelPool::default();
        let set = |i: usize| Labels::from_pairs([("a", i.to_string())]).expect("valid");
        let held = pool.share(set(0));
        assert_eq!(pool.share(set(0)).as_bytes().as_ptr(), held.as_bytes().as_ptr());
        let one = pool.memory();
        assert!(one > 0);
        for i in 0..3 * MIN_SETS {
            pool.share(set(i));
        }
        assert!(pool.memory() <= (MIN_SETS + 1) * 2 * one, "{}", pool.memory());
        pool.purge();
        assert_eq!(pool.memory(), one);
        drop(held);
        pool.purge();
        assert_eq!(pool.memory(), 0);
    }
}
