//! `meta.properties`: which node of which cluster a data directory belongs to.
//!
//! A Java properties file. Version 1 has `version`, `cluster.id`, `node.id` and `directory.id`; version 0, from the days of
//! ZooKeeper, calls the node `broker.id` and may lack any of them.

use super::checkpoint::{read_file, replace_file};
use super::partition_metadata::{format_id, parse_id, random_id};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The file's name inside a data directory.
pub const META_PROPERTIES_FILE: &str = "meta.properties";

/// The version that is written, and the newest that is read.
const VERSION: i32 = 1;
/// The file is only believed up to this size.
const PROPERTIES_BYTES_MAX: u64 = 64 * 1024;

/// The identity of a data directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MetaProperties {
    pub cluster_id: Option<String>,
    pub node_id: Option<NodeId>,
    /// `directory.id`: a random id of this directory.
    pub directory_id: Option<[u8; 16]>,
}

impl MetaProperties {
    /// Reads versions 0 and 1; `None` when there is no file. UNSUPPORTED_VERSION for a newer one, naming both versions;
    /// CORRUPT_MESSAGE for one that makes no sense.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<MetaProperties>> {
        let path = dir.join(META_PROPERTIES_FILE);
        let Some(bytes) = read_file(disk, &path, PROPERTIES_BYTES_MAX)? else { return Ok(None) };
        parse(&bytes).map(Some).map_err(|error| error.within(path.display()))
    }

    /// Writes version 1; atomic, durable on return. STATE when a field is missing.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        let (Some(cluster_id), Some(node_id), Some(directory_id)) =
            (&self.cluster_id, self.node_id, &self.directory_id)
        else {
            let why = format!("{META_PROPERTIES_FILE} needs cluster, node and directory: {self:?}");
            return Err(Error::new(ErrorCode::STATE, why));
        };
        // Java puts the date into the second line. A file that depends on nothing but its content is worth more.
        let mut text = String::from("#\n");
        for (key, value) in [
            ("cluster.id", cluster_id.as_str()),
            ("directory.id", &format_id(directory_id)),
            ("node.id", &node_id.to_string()),
            ("version", &VERSION.to_string()),
        ] {
            writeln!(text, "{key}={}", escape(value)).expect("a string takes everything");
        }
        replace_file(disk, &dir.join(META_PROPERTIES_FILE), text.as_bytes())
    }

    /// STATE, naming both ids, when the directory belongs to another node.
    pub fn check_owner(&self, dir: &Path, node_id: NodeId) -> Result<()> {
        match self.node_id {
            Some(owner) if owner != node_id => {
                let why = format!(
                    "{} belongs to node {owner}, this node is {node_id}: wrong directory or wrong node.id",
                    dir.display()
                );
                Err(Error::new(ErrorCode::STATE, why))
            }
            _ => Ok(()),
        }
    }

    /// Makes the directory this node's: checks the owner of one that has an identity, fills in what is missing, writes the file
    /// if that changed anything.
    pub fn claim(disk: &dyn Disk, dir: &Path, node_id: NodeId) -> Result<MetaProperties> {
        let found = MetaProperties::read(disk, dir)?;
        let mut claimed = found.clone().unwrap_or_default();
        claimed.check_owner(dir, node_id)?;
        claimed.node_id = Some(node_id);
        if claimed.cluster_id.is_none() {
            claimed.cluster_id = Some(format_id(&random_id()?));
        }
        if claimed.directory_id.is_none() {
            claimed.directory_id = Some(random_id()?);
        }
        if found.as_ref() != Some(&claimed) {
            claimed.write(disk, dir)?;
        }
        Ok(claimed)
    }
}

fn parse(bytes: &[u8]) -> Result<MetaProperties> {
    let malformed = |why: String| Error::new(ErrorCode::CORRUPT_MESSAGE, why);
    let properties = parse_properties(bytes).ok_or_else(|| malformed("is no properties file".into()))?;
    let number = |key: &str| match properties.get(key) {
        None => Ok(None),
        Some(text) => match text.parse::<i32>() {
            Ok(number) if number >= 0 => Ok(Some(number)),
            _ => Err(malformed(format!("has {key}={text}"))),
        },
    };
    let version = number("version")?.ok_or_else(|| malformed("has no version".into()))?;
    if version > VERSION {
        let why = format!("has version {version}, this program knows up to {VERSION}");
        return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, why));
    }
    let node_id = number(if version == 0 { "broker.id" } else { "node.id" })?;
    let cluster_id = properties.get("cluster.id").filter(|id| !id.is_empty()).cloned();
    if version > 0 && (node_id.is_none() || cluster_id.is_none()) {
        return Err(malformed("lacks node.id or cluster.id".into()));
    }
    let directory_id = match properties.get("directory.id") {
        None => None,
        Some(text) => Some(parse_id(text).ok_or_else(|| malformed(format!("has directory.id={text}")))?),
    };
    Ok(MetaProperties { cluster_id, node_id: node_id.map(|id| NodeId(id.unsigned_abs())), directory_id })
}

/// The format of `java.util.Properties`: `key=value`, `key:value` or `key value`; `#` and `!` begin comments, a backslash
/// escapes, and at the end of a line joins the next one to it. The bytes are Latin-1. `None` for a broken escape.
fn parse_properties(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut properties = BTreeMap::new();
    let mut lines = text.split(['\n', '\r']);
    while let Some(line) = lines.next() {
        let mut line = line.trim_start_matches(BLANKS).to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while (line.len() - line.trim_end_matches('\\').len()) % 2 == 1 {
            line.pop();
            line.push_str(lines.next().unwrap_or("").trim_start_matches(BLANKS));
        }
        let (key, value) = split_property(&line);
        properties.insert(unescape(key)?, unescape(value)?);
    }
    Some(properties)
}

/// What Java calls white space in these files.
const BLANKS: [char; 3] = [' ', '\t', '\x0c'];

/// The key ends at the first `=`, `:` or blank that no backslash protects.
fn split_property(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|c: char| {
        let ends = !is_escaped && (matches!(c, '=' | ':') || BLANKS.contains(&c));
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(BLANKS))
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next()? {
            't' => plain.push('\t'),
            'n' => plain.push('\n'),
            'r' => plain.push('\r'),
            'f' => plain.push('\x0c'),
            'u' => {
                let mut code = 0;
                for _ in 0..4 {
                    code = code * 16 + chars.next()?.to_digit(16)?;
                }
                plain.push(char::from_u32(code)?);
            }
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// The mirror image of [`unescape`], for values.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for (index, c) in value.chars().enumerate() {
        match c {
            '\\' | '=' | ':' | '#' | '!' => escaped.extend(['\\', c]),
            ' ' if index == 0 => escaped.push_str("\\ "),
            ' '..='~' => escaped.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(escaped, "\\u{unit:04X}").expect("a string takes everything");
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn read_text(text: &str) -> Result<Option<MetaProperties>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(META_PROPERTIES_FILE), text).unwrap();
        MetaProperties::read(&RealDisk, dir.path())
    }

    #[test]
    fn a_new_directory_is_claimed_and_stays_the_same_ones() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(MetaProperties::read(&RealDisk, dir.path()).unwrap(), None);
        let claimed = MetaProperties::claim(&RealDisk, dir.path(), NodeId(3)).unwrap();
        assert_eq!(MetaProperties::read(&RealDisk, dir.path()).unwrap().as_ref(), Some(&claimed));
        assert_eq!(MetaProperties::claim(&RealDisk, dir.path(), NodeId(3)).unwrap(), claimed);
        let text = std::fs::read_to_string(dir.path().join(META_PROPERTIES_FILE)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[3], lines[4]), ("#", "node.id=3", "version=1"), "{text}");
    }

    #[test]
    fn another_nodes_directory_is_refused_with_both_ids() {
        let dir = tempfile::tempdir().unwrap();
        MetaProperties::claim(&RealDisk, dir.path(), NodeId(3)).unwrap();
        let error = MetaProperties::claim(&RealDisk, dir.path(), NodeId(4)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::STATE);
        assert!(error.message().contains("node 3") && error.message().contains("node is 4"), "{error}");
    }

    #[test]
    fn kafkas_two_versions_are_read() {
        let java = "#\n#Thu Oct 24 10:00:00 UTC 2024\nnode.id=1\nversion=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAKw\n\
                    cluster.id=4L6g3nShT-eMCtK--X86sw\n";
        let read = read_text(java).unwrap().unwrap();
        assert_eq!((read.node_id, read.cluster_id.as_deref()), (Some(NodeId(1)), Some("4L6g3nShT-eMCtK--X86sw")));
        assert_eq!(read.directory_id.map(|id| id[15]), Some(0x2b));
        let old = read_text("version=0\nbroker.id=7\ncluster.id=abc\n").unwrap().unwrap();
        assert_eq!((old.node_id, old.cluster_id.as_deref(), old.directory_id), (Some(NodeId(7)), Some("abc"), None));
        assert_eq!(read_text("version=0\n").unwrap().unwrap(), MetaProperties::default());
    }

    #[test]
    fn a_directory_of_version_0_is_claimed_with_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(META_PROPERTIES_FILE), "version=0\nbroker.id=7\ncluster.id=abc\n").unwrap();
        let claimed = MetaProperties::claim(&RealDisk, dir.path(), NodeId(7)).unwrap();
        assert_eq!(claimed.cluster_id.as_deref(), Some("abc"));
        assert_eq!(MetaProperties::read(&RealDisk, dir.path()).unwrap(), Some(claimed));
    }

    #[test]
    fn a_newer_version_is_refused_naming_both_and_nonsense_is_corrupt() {
        let error = read_text("version=2\nnode.id=1\ncluster.id=x\n").unwrap_err();
        assert_eq!(error.code(), ErrorCode::UNSUPPORTED_VERSION);
        assert!(error.message().contains("version 2") && error.message().contains("up to 1"), "{error}");
        for text in [
            "",
            "node.id=1\ncluster.id=x\n",
            "version=1\nnode.id=1\n",
            "version=1\ncluster.id=x\n",
            "version=1\ncluster.id=x\nnode.id=-1\n",
            "version=x\ncluster.id=x\nnode.id=1\n",
            "version=1\ncluster.id=x\nnode.id=1\ndirectory.id=short\n",
            "version=1\ncluster.id=\\u12\nnode.id=1\n",
        ] {
            assert_eq!(read_text(text).unwrap_err().code(), ErrorCode::CORRUPT_MESSAGE, "{text:?}");
        }
    }

    #[test]
    fn the_java_format_is_understood() {
        let text = b"! comment\n\n  a = 1\r\nb:2\nc 3\nd\n e\\ f = g\\=\\u0041\\\n   h\\\\\nlast=\xe4\\";
        let read = parse_properties(text).unwrap();
        let expected = [("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e f", "g=Ah\\"), ("last", "ä")];
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn any_value_survives_escaping() {
        for value in ["", " a b ", "a=b:c#d!e\\f", "tab\tline\n", "ä€"] {
            let line = format!("key={}", escape(value));
            assert_eq!(parse_properties(line.as_bytes()).unwrap()["key"], value, "{line}");
        }
    }
}
