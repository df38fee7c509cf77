//! What was sent, what was promised, and what may therefore be read.

use std::collections::BTreeMap;

/// Whose sample it is, and when: tenant, partition, series, time.
pub(crate) type Key = (usize, u32, u32, i64);

/// A value, equal only if it is the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Value {
    Float(u64),
    /// Bits of the sum, which tells the histograms of this test apart.
    Histogram(u64),
}

/// What became of a sample that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Acknowledged,
    /// No answer, or one that does not say of which sample it speaks.
    Unknown,
}

/// What is known of one key.
#[derive(Clone, Debug, Default)]
struct Known {
    /// A reader has seen it: it stays what it is.
    seen: Option<Value>,
    /// Sent since, in order; those that were refused are left out.
    sent: Vec<(Value, Fate)>,
}

#[derive(Default)]
pub(crate) struct Model {
    known: BTreeMap<Key, Known>,
}

impl Model {
    pub(crate) fn sent(&mut self, key: Key, value: Value, fate: Fate) {
        self.known.entry(key).or_default().sent.push((value, fate));
    }

    /// Holds what was read against what may be read. `restarted`: nothing sent
    /// before is under way any more, so what is not there now never comes.
    pub(crate) fn check(
        &mut self,
        found: &BTreeMap<Key, Value>,
        restarted: bool,
    ) -> Result<(), String> {
        for (key, value) in found {
            if !self.known.contains_key(key) {
                return Err(format!("{key:?} was never sent, {value:?} is there"));
            }
        }
        for (key, known) in &mut self.known {
            known.check(found.get(key).copied(), restarted).map_err(|e| format!("{key:?} {e}"))?;
        }
        if restarted {
            self.known.retain(|_, known| known.seen.is_some());
        }
        Ok(())
    }
}

impl Known {
    fn check(&mut self, found: Option<Value>, restarted: bool) -> Result<(), String> {
        if let Some(seen) = self.seen {
            if found != Some(seen) {
                return Err(format!("was {seen:?}, now it is {found:?}"));
            }
        } else {
            // The first that was accepted, or one before it of which nobody
            // knows whether it was.
            let first = self.sent.iter().position(|(_, fate)| *fate == Fate::Acknowledged);
            let allowed = &self.sent[..first.map_or(self.sent.len(), |first| first + 1)];
            match found {
                None if first.is_some() => return Err(format!("is lost: {:?}", self.sent)),
                Some(value) if !allowed.iter().any(|(sent, _)| *sent == value) => {
                    return Err(format!("is {value:?}, sent were {:?}", self.sent));
                }
                _ => {}
            }
        }
        if restarted {
            self.seen = found;
            self.sent.clear();
        }
        Ok(())
    }
}
