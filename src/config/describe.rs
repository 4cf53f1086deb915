//! The table as JSON, for people, for the C door and for the command line.

use super::lookup::rows;
use super::table::Scope;
use serde_json::json;

/// Every setting of a scope as a JSON array of objects with `name`, `type`, `default`, `legal`, `sentence`, for topics
/// `synonyms` (the engine settings that give the default, the strongest first) and for secrets `is_secret`. Fields are only ever
/// added.
#[must_use]
pub fn describe_json(scope: Scope) -> String {
    let rows: Vec<serde_json::Value> = rows(scope)
        .map(|row| {
            let mut object = json!({
                "name": row.name,
                "scope": scope.name(),
                "type": row.kind.type_name(),
                "default": row.default,
                "legal": row.kind.to_string(),
                "sentence": row.sentence,
            });
            if row.is_secret {
                object["is_secret"] = true.into();
            }
            if !row.synonyms.is_empty() {
                object["synonyms"] = row.synonyms().collect();
            }
            object
        })
        .collect();
    serde_json::Value::Array(rows).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_describes_itself_with_a_sentence_for_each_setting() {
        for scope in Scope::ALL {
            let described: serde_json::Value = serde_json::from_str(&describe_json(scope)).unwrap();
            let rows = described.as_array().unwrap();
            assert!(rows.len() >= 9, "{scope:?}");
            assert!(rows.iter().all(|row| row["sentence"].as_str().is_some_and(|text| text.len() > 20)));
        }
    }
}
