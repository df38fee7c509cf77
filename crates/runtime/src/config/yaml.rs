//! YAML in which every key must be known. A key that is not is refused with
//! the nearest known one, so that a typing error never becomes a default.

use serde::{Serialize, de::DeserializeOwned};

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// Reads a configuration. Types must carry `#[serde(deny_unknown_fields)]`.
///
/// # Errors
/// Names the place, what is wrong, and for an unknown key the nearest known one.
pub fn parse<T: DeserializeOwned + Default>(yaml: &str) -> Result<T, ConfigError> {
    if yaml.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#')) {
        return Ok(T::default());
    }
    serde_saphyr::from_str(yaml).map_err(|e| ConfigError(explain(&e.to_string())))
}

/// Writes a configuration.
///
/// # Errors
/// When a value has no YAML form, which is a defect of its type.
pub fn to_yaml<T: Serialize>(config: &T) -> Result<String, ConfigError> {
    serde_saphyr::to_string(config).map_err(|e| ConfigError(e.to_string()))
}

/// The known word that an unknown one was probably meant to be.
pub fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let score = |k: &str| strsim::jaro_winkler(unknown, k);
    known.filter(|k| score(k) > 0.7).max_by(|a, b| score(a).total_cmp(&score(b)))
}

/// Adds the nearest known key to the complaint about an unknown one.
fn explain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let near = line.split_once("unknown field `").and_then(|(_, rest)| {
        let (unknown, rest) = rest.split_once('`')?;
        let (_, known) = rest.split_once("expected ")?;
        let known =
            known.trim_start_matches("one of ").split([',', ' ']).map(|k| k.trim_matches('`'));
        nearest(unknown, known)
    });
    match near {
        Some(near) => format!("{message} (did you mean `{near}`?)"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ByteSize, HumanDuration};

    #[derive(Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
    #[serde(deny_unknown_fields, default)]
    struct Example {
        seal_interval: HumanDuration,
        cache_bytes: ByteSize,
    }

    #[test]
    fn known_keys_are_taken_and_written_back() {
        let example: Example = parse("seal_interval: 10m\ncache_bytes: 64MiB\n").expect("valid");
        assert_eq!(example.cache_bytes, ByteSize(64 << 20));
        let yaml = to_yaml(&example).expect("has a form");
        assert_eq!(parse::<Example>(&yaml).expect("valid"), example);
        assert_eq!(parse::<Example>("# nothing\n").expect("valid"), Example::default());
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known() {
        let error = parse::<Example>("seal_intervall: 10m\n").expect_err("unknown key").to_string();
        assert!(error.contains("did you mean `seal_interval`?"), "{error}");
        let error = parse::<Example>("cache_bytes: lots\n").expect_err("not a size").to_string();
        assert!(error.contains("lots"), "{error}");
    }
}
