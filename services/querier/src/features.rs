//! Prometheus' feature names (`--enable-feature`), each with what it turns on.
//!
//! The table below is the only list of them. A name that is not in it is
//! refused with the nearest one that is; what Varve always does is taken, so
//! that a command line of Prometheus' can be kept.

use serde::{Deserialize, Serialize};
use varve_promql::engine::EngineOptions;
use varve_runtime::config::nearest;

/// What a name does.
#[derive(Clone, Copy)]
enum Effect {
    /// It changes how queries are read or evaluated.
    Sets(fn(&mut EngineOptions)),
    /// Nothing: it is always so.
    Always,
}

/// A name that is known.
struct Feature {
    name: &'static str,
    effect: Effect,
}

const fn sets(name: &'static str, set: fn(&mut EngineOptions)) -> Feature {
    Feature { name, effect: Effect::Sets(set) }
}

const fn always(name: &'static str) -> Feature {
    Feature { name, effect: Effect::Always }
}

/// Every name that is known, in alphabetic order.
static KNOWN: [Feature; 13] = [
    always("exemplar-storage"),
    always("metadata-wal-records"),
    always("native-histograms"),
    always("ooo-native-histograms"),
    sets("promql-binop-fill-modifiers", |o| o.parse.binop_fill = true),
    sets("promql-delayed-name-removal", |o| o.delayed_name_removal = true),
    always("promql-duration-expr"),
    sets("promql-experimental-functions", |o| o.parse.experimental_functions = true),
    sets("promql-extended-range-selectors", |o| o.parse.extended_range_selectors = true),
    sets("promql-per-step-stats", |o| o.per_step_stats = true),
    always("st-storage"),
    sets("type-and-unit-labels", |o| o.type_and_unit_labels = true),
    sets("use-start-timestamps", |o| o.start_timestamps = true),
];

/// A set of features, written as the list of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct Features {
    /// Indices into [`KNOWN`], in order, each once.
    on: Vec<usize>,
}

/// A name that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("feature {name:?} is not known{}", near.map(|n| format!(" (did you mean {n:?}?)")).unwrap_or_default())]
pub struct UnknownFeature {
    name: String,
    near: Option<&'static str>,
}

impl Features {
    /// Turns on one more.
    ///
    /// # Errors
    /// When the name is not known; names the nearest known one.
    pub fn enable(&mut self, name: &str) -> Result<(), UnknownFeature> {
        let Some(at) = KNOWN.iter().position(|f| f.name == name) else {
            let near = nearest(name, KNOWN.iter().map(|f| f.name));
            return Err(UnknownFeature { name: name.to_owned(), near });
        };
        if let Err(place) = self.on.binary_search(&at) {
            self.on.insert(place, at);
        }
        Ok(())
    }

    /// Changes the options of an engine as the features say.
    pub fn apply(&self, options: &mut EngineOptions) {
        for feature in self.on.iter().map(|i| &KNOWN[*i]) {
            match feature.effect {
                Effect::Sets(set) => {
                    set(options);
                    tracing::info!(feature = feature.name, "feature is on");
                }
                Effect::Always => {
                    tracing::info!(
                        feature = feature.name,
                        "feature is always on, its name does nothing"
                    );
                }
            }
        }
    }
}

impl TryFrom<Vec<String>> for Features {
    type Error = UnknownFeature;

    fn try_from(names: Vec<String>) -> Result<Self, UnknownFeature> {
        let mut features = Self::default();
        names.iter().try_for_each(|name| features.enable(name))?;
        Ok(features)
    }
}

impl From<Features> for Vec<&'static str> {
    fn from(features: Features) -> Self {
        features.on.iter().map(|i| KNOWN[*i].name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(names: &[&str]) -> EngineOptions {
        let mut features = Features::default();
        names.iter().for_each(|n| features.enable(n).expect("is known"));
        let mut options = EngineOptions::default();
        features.apply(&mut options);
        options
    }

    #[test]
    fn each_name_turns_on_its_part_of_the_language() {
        let names = Vec::from(Features { on: (0..KNOWN.len()).collect() });
        assert!(names.is_sorted(), "{names:?}");
        let all = options(&names);
        assert_eq!(all.parse, varve_promql::parse::Options::all());
        assert!(all.delayed_name_removal && all.start_timestamps);
        assert!(all.per_step_stats && all.type_and_unit_labels);
        for feature in &KNOWN {
            let one = format!("{:?}", options(&[feature.name]));
            let changes = one != format!("{:?}", EngineOptions::default());
            assert_eq!(changes, matches!(feature.effect, Effect::Sets(_)), "{}", feature.name);
        }
    }

    #[test]
    fn a_name_that_is_not_known_is_refused_with_the_nearest() {
        let mut features = Features::default();
        let error = features.enable("promql-delayed-names-removal").expect_err("not known");
        assert_eq!(
            error.to_string(),
            "feature \"promql-delayed-names-removal\" is not known (did you mean \"promql-delayed-name-removal\"?)"
        );
        let error = features.enable("zzz").expect_err("not known");
        assert_eq!(error.to_string(), "feature \"zzz\" is not known");
        assert_eq!(features, Features::default());
    }
}
