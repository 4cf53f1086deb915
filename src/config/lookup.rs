//! From a name and a text to a row and a value, or to an error that helps.

use super::table::{Scope, Setting, HIDDEN, NOT_YET, ROWS};
use super::value::Value;
use crate::error::{Error, ErrorCode, Result};

/// A row that was found under one of its names.
pub(super) struct Found {
    pub row: &'static Setting,
    /// The name it was found under: the row's own, or a synonym.
    pub name: &'static str,
    pub factor: i64,
}

/// The rows of one scope, in the order of the table.
pub(super) fn rows(scope: Scope) -> impl Iterator<Item = &'static Setting> {
    ROWS.iter().filter(move |row| row.scope == scope)
}

/// Every name that may be set in `scope`: at the engine also the synonyms that give the topics their defaults.
fn names(scope: Scope) -> impl Iterator<Item = Found> {
    let own = rows(scope).map(|row| Found { row, name: row.name, factor: 1 });
    let defaults = rows(Scope::Topic)
        .filter(move |_| scope == Scope::Engine)
        .flat_map(|row| row.synonyms.iter().map(move |&(name, factor)| Found { row, name, factor }));
    own.chain(defaults)
}

/// The row of a setting. INVALID_CONFIG (40) for a name that is not one, with the nearest that is.
pub(super) fn find(scope: Scope, name: &str) -> Result<Found> {
    names(scope).find(|found| found.name == name).ok_or_else(|| unknown(scope, name))
}

/// Parses a value and holds it against the range of its row.
pub(super) fn parse(scope: Scope, name: &str, text: &str) -> Result<(Found, Value)> {
    let found = find(scope, name)?;
    match found.row.kind.parse(text, found.factor) {
        Some(value) => Ok((found, value)),
        None => Err(out_of_range(&found, text)),
    }
}

/// Whether `name` may be set to `text` in this scope. INVALID_CONFIG (40), naming setting, value and legal range, if not.
pub fn validate(scope: Scope, name: &str, text: &str) -> Result<()> {
    parse(scope, name, text).map(|_| ())
}

/// Whether `name` may be set to `text` in at least one scope. INVALID_CONFIG (40) as [`validate`] has it, if not.
///
/// For callers that collect settings before they know what for, as the C door does.
pub fn check(name: &str, text: &str) -> Result<()> {
    let known = |scope: &Scope| names(*scope).any(|found| found.name == name);
    let mut refusal = None;
    for scope in Scope::ALL.into_iter().filter(known) {
        match validate(scope, name, text) {
            Ok(()) => return Ok(()),
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.unwrap_or_else(|| unknown_anywhere(name)))
}

/// The default of a setting as text, in the first scope that has it; a synonym of the engine has that of its topic setting.
#[must_use]
pub fn default_of(name: &str) -> Option<&'static str> {
    Scope::ALL
        .into_iter()
        .find_map(|scope| names(scope).find(|found| found.name == name))
        .map(|found| found.row.default)
}

/// A setting that is refused; `why` goes on after the name.
pub(super) fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorCode::INVALID_CONFIG, why)
}

fn out_of_range(found: &Found, text: &str) -> Error {
    let Found { row, name, factor } = found;
    let unit = if *factor == 1 { String::new() } else { format!(" (for {} = {name} x {factor})", row.name) };
    let shown = if row.is_secret { HIDDEN.to_owned() } else { format!("{text:?}") };
    refused(format!("{name}={shown} is not legal; legal: {}{unit}", row.kind))
}

fn unknown(scope: Scope, name: &str) -> Error {
    // `{name:?}` keeps a name with line breaks in it from breaking the one line of an error.
    let start = format!("{name:?} is not a setting of the {}", scope.name());
    if let Some(row) = (scope == Scope::Engine).then(|| rows(Scope::Topic).find(|row| row.name == name)).flatten() {
        return refused(format!("{start}; it is one of topics, and {} sets the default of all", row.synonyms[0].0));
    }
    if let Some(elsewhere) = Scope::ALL.into_iter().find(|other| names(*other).any(|found| found.name == name)) {
        return refused(format!("{start}; it is one of the {}", elsewhere.name()));
    }
    if NOT_YET.contains(&name) {
        return refused(format!("{name} is a setting of Kafka that is not supported yet"));
    }
    match nearest(scope, name) {
        Some(near) => refused(format!("{start}; did you mean {near}?")),
        None => refused(start),
    }
}

fn unknown_anywhere(name: &str) -> Error {
    if NOT_YET.contains(&name) {
        return refused(format!("{name} is a setting of Kafka that is not supported yet"));
    }
    match Scope::ALL.into_iter().find_map(|scope| nearest(scope, name)) {
        Some(near) => refused(format!("{name:?} is not a setting; did you mean {near}?")),
        None => refused(format!("{name:?} is not a setting")),
    }
}

/// The known name that needs the fewest edits, when it needs few enough to be a slip.
fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    if name.len() > 100 {
        return None;
    }
    let (distance, near) =
        names(scope).map(|found| (edits(&name.to_ascii_lowercase(), found.name), found.name)).min()?;
    (distance <= 2 + name.len() / 4).then_some(near)
}

/// Insertions, deletions, replacements from `left` to `right`; `_` and `-` are as good as `.`.
fn edits(left: &str, right: &str) -> usize {
    let left = left.replace(['_', '-'], ".");
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut current = vec![i + 1];
        for (j, b) in right.bytes().enumerate() {
            current.push((previous[j] + usize::from(a != b)).min(previous[j + 1] + 1).min(current[j] + 1));
        }
        previous = current;
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Kind;

    #[test]
    fn the_default_of_every_row_is_legal() {
        for row in ROWS {
            assert!(row.kind.parse(row.default, 1).is_some(), "{} = {:?}", row.name, row.default);
            assert!(row.sentence.ends_with('.'), "{} has no sentence", row.name);
        }
    }

    #[test]
    fn no_name_stands_twice_in_a_scope_and_none_is_both_supported_and_not() {
        for scope in Scope::ALL {
            let mut all: Vec<&str> = names(scope).map(|found| found.name).collect();
            assert!(all.iter().all(|name| !NOT_YET.contains(name)), "{all:?}");
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{scope:?}");
        }
    }

    #[test]
    fn both_ends_of_every_range_are_legal_and_their_neighbours_are_not() {
        for row in ROWS {
            let Kind::Int { min, max, or } = row.kind else { continue };
            let legal = |number: i128| row.kind.parse(&number.to_string(), 1).is_some();
            assert!(legal(i128::from(min)) && legal(i128::from(max)), "{}", row.name);
            assert!(!legal(i128::from(max) + 1), "{}", row.name);
            assert_eq!(legal(i128::from(min) - 1), or == Some(min - 1), "{}", row.name);
        }
    }

    #[test]
    fn an_error_names_the_setting_the_value_and_the_legal_range() {
        let error = validate(Scope::Producer, "acks", "2").unwrap_err();
        assert_eq!(error.code(), ErrorCode::INVALID_CONFIG);
        assert_eq!(error.message(), r#"acks="2" is not legal; legal: all or -1 or 0 or 1"#);
        let error = validate(Scope::Producer, "compression.gzip.level", "0").unwrap_err();
        assert_eq!(error.message(), r#"compression.gzip.level="0" is not legal; legal: -1 or 1..=9"#);
    }

    #[test]
    fn a_value_that_any_scope_allows_is_fit_for_collecting() {
        check("compression.type", "producer").unwrap();
        check("compression.type", "none").unwrap();
        check("log.retention.hours", "3").unwrap();
        assert!(check("compression.type", "brotli").unwrap_err().message().contains("legal:"));
        assert!(check("acts", "1").unwrap_err().message().ends_with("did you mean acks?"));
        assert!(check("transactional.id", "1").unwrap_err().message().contains("not supported yet"));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_known_one() {
        let message = |scope, name| validate(scope, name, "1").unwrap_err().message().to_owned();
        assert!(message(Scope::Producer, "linger_ms").ends_with("did you mean linger.ms?"));
        assert!(message(Scope::Producer, "batch.sise").ends_with("did you mean batch.size?"));
        assert!(message(Scope::Topic, "retention.mss").ends_with("did you mean retention.ms?"));
        assert!(message(Scope::Engine, "flush.ms").ends_with("log.flush.interval.ms sets the default of all"));
        assert!(message(Scope::Consumer, "linger.ms").ends_with("it is one of the producer"));
        assert!(message(Scope::Producer, "enable.idempotence").contains("not supported yet"));
        assert!(!message(Scope::Producer, "zzzzzzzzzzzzzzzzzzzz").contains("did you mean"));
        assert!(!message(Scope::Producer, &"\n\u{e4}".repeat(1000)).contains('\n'));
    }
}
