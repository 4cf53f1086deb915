//! What a value may be, and what it is once it was held against that.

use super::address::{is_url, urls, voters, Port, BOOTSTRAP_MAX, URL_FORMS, VOTERS_MAX};
use std::fmt;
use std::time::Duration;

/// Type and legal range of a setting.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A whole number from `min` to `max`, both included, or exactly `or`.
    Int {
        min: i64,
        max: i64,
        or: Option<i64>,
    },
    Bool,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Anything in one line.
    Text,
    /// Where a node is, or nothing.
    Url(Port),
    /// Where some nodes are, or nothing.
    Urls,
    /// Numbers and addresses of nodes, or nothing.
    Voters,
    /// A cluster's identity, or nothing.
    ClusterId,
}

/// A value that lies in its row's range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Int(i64),
    Bool(bool),
    Word(&'static str),
    Text(String),
}

impl Kind {
    /// The value that `text` stands for, or `None` when it is not legal. `factor` turns the unit of a synonym into that
    /// of the row; negative numbers mean "none" and have no unit.
    pub fn parse(&self, text: &str, factor: i64) -> Option<Value> {
        let text = text.trim();
        match *self {
            Kind::Int { min, max, or } => {
                let number: i64 = text.parse().ok()?;
                let number = if number < 0 { number } else { number.checked_mul(factor)? };
                ((min..=max).contains(&number) || or == Some(number)).then_some(Value::Int(number))
            }
            Kind::Bool if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
            Kind::Bool if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
            Kind::Bool => None,
            Kind::OneOf(words) => words.iter().find(|word| **word == text).map(|word| Value::Word(word)),
            Kind::Text => (!text.contains(char::is_control)).then(|| Value::Text(text.to_owned())),
            Kind::Url(_) | Kind::Urls | Kind::Voters | Kind::ClusterId if text.is_empty() => {
                Some(Value::Text(String::new()))
            }
            Kind::Url(port) => is_url(text, port).then(|| Value::Text(text.to_owned())),
            Kind::Urls => urls(text).map(|_| Value::Text(text.to_owned())),
            Kind::Voters => voters(text).map(|_| Value::Text(text.to_owned())),
            Kind::ClusterId => crate::types::ClusterId::parse(text).map(|id| Value::Text(id.to_string())),
        }
    }

    /// The name of the type, in Kafka's words where Kafka has one.
    pub fn type_name(&self) -> &'static str {
        match self {
            Kind::Int { max, .. } if *max > i64::from(i32::MAX) => "long",
            Kind::Int { .. } => "int",
            Kind::Bool => "boolean",
            Kind::Urls | Kind::Voters => "list",
            Kind::OneOf(_) | Kind::Text | Kind::Url(_) | Kind::ClusterId => "string",
        }
    }
}

/// The legal range, as it is printed: `0..=2147483647`, `-1 or 1..=9`, `true or false`, `reject or drop-oldest`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Int { min, max, or: None } => write!(f, "{min}..={max}"),
            Kind::Int { min, max, or: Some(or) } => write!(f, "{or} or {min}..={max}"),
            Kind::Bool => f.write_str("true or false"),
            Kind::OneOf(words) => f.write_str(&words.join(" or ")),
            Kind::Text => f.write_str("text in one line"),
            Kind::Url(_) => f.write_str(URL_FORMS),
            Kind::Urls => write!(f, "up to {BOOTSTRAP_MAX} of url with commas between them; url: {URL_FORMS}"),
            Kind::Voters => {
                write!(f, "up to {VOTERS_MAX} of number@url with commas between them, no number or url twice; url: {URL_FORMS}")
            }
            Kind::ClusterId => f.write_str("22 characters of URL-safe base64 (16 bytes)"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(number) => number.fmt(f),
            Value::Bool(flag) => flag.fmt(f),
            Value::Word(word) => f.write_str(word),
            Value::Text(text) => f.write_str(text),
        }
    }
}

/// The getters panic when the row is of another kind: a setting is applied in the place that knows its row.
impl Value {
    pub fn int(&self) -> i64 {
        match self {
            Value::Int(number) => *number,
            other => panic!("a number is expected here, not {other:?}"),
        }
    }

    pub fn bool(&self) -> bool {
        match self {
            Value::Bool(flag) => *flag,
            other => panic!("a boolean is expected here, not {other:?}"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Value::Word(word) => word,
            Value::Text(text) => text,
            other => panic!("a text is expected here, not {other:?}"),
        }
    }

    pub fn u32(&self) -> u32 {
        u32::try_from(self.int()).expect("the row's range lies within 32 bits")
    }

    pub fn u64(&self) -> u64 {
        u64::try_from(self.int()).expect("the row's range has no negative numbers")
    }

    pub fn usize(&self) -> usize {
        usize::try_from(self.int()).unwrap_or(usize::MAX)
    }

    pub fn millis(&self) -> Duration {
        Duration::from_millis(self.u64())
    }

    /// `None` for the negative numbers, which mean "unlimited".
    pub fn u64_or_unlimited(&self) -> Option<u64> {
        u64::try_from(self.int()).ok()
    }

    /// `None` for Long.MAX, which means "never".
    pub fn u64_or_never(&self) -> Option<u64> {
        (self.int() != i64::MAX).then(|| self.u64())
    }
}
