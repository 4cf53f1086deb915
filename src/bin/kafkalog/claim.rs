//! The lines of the fault tools: a record that is claimed or found, what is corrupt, what is only said. With --json an object each.

use serde_json::json;

/// `topic/partition/offset crc`, and ` @` with the milliseconds since the start where they are told.
pub fn record(json: bool, (topic, partition, offset): (&str, u32, u64), crc: u32, at_ms: Option<u64>) -> String {
    if json {
        let mut object =
            json!({ "topic": topic, "partition": partition, "offset": offset, "crc32c": format!("{crc:08x}") });
        if let Some(at_ms) = at_ms {
            object["at_ms"] = at_ms.into();
        }
        return object.to_string();
    }
    let time = at_ms.map_or(String::new(), |at_ms| format!(" @{at_ms}"));
    format!("{topic}/{partition}/{offset} {crc:08x}{time}")
}

/// `!corrupt why`.
pub fn corrupt(json: bool, why: &str) -> String {
    if json {
        json!({ "corrupt": why }).to_string()
    } else {
        format!("!corrupt {why}")
    }
}

/// `# text`: no claim.
pub fn note(json: bool, text: &str) -> String {
    if json {
        json!({ "note": text }).to_string()
    } else {
        format!("# {text}")
    }
}
