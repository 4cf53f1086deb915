//! Reading and writing big-endian fields with every length checked before anything is allocated for it.

use crate::error::{Error, ErrorCode, Result};
use crate::types::NodeId;

/// A name, an address, a setting's value.
pub(super) const TEXT_BYTES_MAX: usize = 32 * 1024;
/// Nodes in one list: replicas of a partition, voters.
pub(super) const NODES_MAX: usize = 1_024;

/// Appends fields.
#[derive(Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }
    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }
    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    /// A count or length. What the writer writes came past the limits already.
    pub fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).expect("lists and texts are bounded far below 2^32"));
    }
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
    pub fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Writer, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }
    pub fn node(&mut self, node: NodeId) {
        self.u32(node.0);
    }
    pub fn nodes(&mut self, nodes: &[NodeId]) {
        self.length(nodes.len());
        nodes.iter().for_each(|node| self.node(*node));
    }
}

/// Takes fields off the front. Every error is CORRUPT_MESSAGE and names what was being read.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], what: &'static str) -> Reader<'a> {
        Reader { rest: bytes, what }
    }
    pub fn corrupt(&self, how: impl std::fmt::Display) -> Error {
        Error::new(ErrorCode::CORRUPT_MESSAGE, format!("{}: {how}", self.what))
    }
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8]> {
        if count > self.rest.len() {
            return Err(self.corrupt(format_args!("{count} bytes announced, {} there", self.rest.len())));
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.raw(N)?.try_into().expect("raw gives what was asked for"))
    }
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }
    pub fn bool(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.corrupt(format_args!("{other} is neither yes nor no"))),
        }
    }
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }
    pub fn id(&mut self) -> Result<[u8; 16]> {
        self.array()
    }
    /// A count of things that take at least `each_bytes`: neither above `max` nor more than can be there.
    pub fn count(&mut self, max: usize, each_bytes: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        if count > max || count.saturating_mul(each_bytes) > self.rest.len() {
            return Err(self.corrupt(format_args!("a count of {count}, at most {max}, {} bytes left", self.rest.len())));
        }
        Ok(count)
    }
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8]> {
        let count = self.count(max, 1)?;
        self.raw(count)
    }
    pub fn text(&mut self) -> Result<&'a str> {
        let bytes = self.bytes(TEXT_BYTES_MAX)?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt("a text is not UTF-8"))
    }
    pub fn option<T>(&mut self, take: impl FnOnce(&mut Reader<'a>) -> Result<T>) -> Result<Option<T>> {
        if self.bool()? {
            take(self).map(Some)
        } else {
            Ok(None)
        }
    }
    pub fn node(&mut self) -> Result<NodeId> {
        self.u32().map(NodeId)
    }
    pub fn nodes(&mut self) -> Result<Vec<NodeId>> {
        let count = self.count(NODES_MAX, 4)?;
        (0..count).map(|_| self.node()).collect()
    }
    /// Nothing may follow.
    pub fn end(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.corrupt(format_args!("{} bytes too many", self.rest.len())))
        }
    }
}
