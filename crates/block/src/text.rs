//! How identities and ranges look in JSON: ULIDs as their 26 characters, a
//! range as `{"start": ms, "end": ms}`.

pub(crate) mod ulid {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use ulid::Ulid;

    pub(crate) fn serialize<S: Serializer>(id: &Ulid, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&id.to_string())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Ulid, D::Error> {
        let text = String::deserialize(d)?;
        Ulid::from_string(&text)
            .map_err(|e| D::Error::custom(format!("{text:?} is not a ULID: {e}")))
    }
}

pub(crate) mod ulids {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use ulid::Ulid;

    pub(crate) fn serialize<S: Serializer>(ids: &[Ulid], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(ids.iter().map(Ulid::to_string))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Ulid>, D::Error> {
        Vec::<String>::deserialize(d)?
            .into_iter()
            .map(|text| {
                Ulid::from_string(&text)
                    .map_err(|e| D::Error::custom(format!("{text:?} is not a ULID: {e}")))
            })
            .collect()
    }
}

pub(crate) mod range {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use varve_model::TimeRange;

    #[derive(Serialize, Deserialize)]
    struct Text {
        start: i64,
        end: i64,
    }

    pub(crate) fn serialize<S: Serializer>(range: &TimeRange, s: S) -> Result<S::Ok, S::Error> {
        Text { start: range.start, end: range.end }.serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<TimeRange, D::Error> {
        let Text { start, end } = Text::deserialize(d)?;
        if start > end {
            return Err(D::Error::custom(format!("range ends at {end}, before its start {start}")));
        }
        Ok(TimeRange { start, end })
    }
}
