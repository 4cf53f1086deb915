//! The ordered list of a log's segments. Readers take a snapshot, the appender replaces it.

use super::segment::Segment;
use crate::types::Offset;
use std::sync::Arc;

/// At least one segment, ascending by base offset; the last is the active one. Immutable.
#[derive(Clone, Debug)]
pub(super) struct Segments(Vec<Arc<Segment>>);

impl Segments {
    pub(super) fn new(list: Vec<Arc<Segment>>) -> Segments {
        assert!(!list.is_empty(), "a log has at least one segment");
        debug_assert!(list.windows(2).all(|pair| pair[0].base < pair[1].base));
        Segments(list)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Arc<Segment>> {
        self.0.get(index)
    }

    pub(super) fn first(&self) -> &Arc<Segment> {
        &self.0[0]
    }

    pub(super) fn active(&self) -> &Arc<Segment> {
        self.0.last().expect("a log has at least one segment")
    }

    /// Index of the segment that would hold `offset`: the last whose base is not above it.
    pub(super) fn floor(&self, offset: Offset) -> usize {
        self.0.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    pub(super) fn with(&self, segment: Arc<Segment>) -> Segments {
        let mut list = self.0.clone();
        list.push(segment);
        Segments::new(list)
    }

    /// With another active segment instead of the one that it has.
    pub(super) fn with_active(&self, segment: Arc<Segment>) -> Segments {
        let mut list = self.0.clone();
        list.pop();
        list.push(segment);
        Segments::new(list)
    }

    /// Without the first `count`.
    pub(super) fn without_first(&self, count: usize) -> Segments {
        Segments::new(self.0[count..].to_vec())
    }
}
