//! Partitions of an open engine as a consumer's source.

use super::source::{Ask, Bounds, Source, Sources};
use crate::config::ConsumerConfig;
use crate::error::Result;
use crate::node::{Node, Notify, Partition};
use crate::storage::{AbortedTxn, Fetch, UpTo};
use crate::types::{Offset, Timestamp, TopicPartition};
use bytes::Bytes;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// All partitions of a node.
pub(super) struct LiveSources(pub Arc<Node>);

/// One of them.
pub(super) struct Live(pub Arc<Partition>);

impl Sources for LiveSources {
    fn open(&self, partition: &TopicPartition, _config: &ConsumerConfig) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Live(self.0.partition(&partition.topic, partition.partition)?)))
    }
}

impl Source for Live {
    fn read(&self, ask: Ask) -> Result<Bytes> {
        let up_to = if ask.committed { UpTo::Offset(self.0.last_stable_offset()?) } else { UpTo::HighWatermark };
        let fetch = Fetch { from: ask.from, bytes_max: ask.bytes_max, up_to, min_one_message: true };
        Ok(self.0.read(fetch)?.batches)
    }

    fn bounds(&self, committed: bool) -> Result<Bounds> {
        let offsets = self.0.offsets()?;
        let end = if committed { self.0.last_stable_offset()? } else { offsets.high_watermark };
        Ok(Bounds { start: offsets.log_start, end })
    }

    fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        self.0.offset_for_timestamp(at)
    }

    fn aborted(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTxn>> {
        self.0.aborted_transactions(from, to)
    }

    fn subscribe(&self, listener: Arc<dyn Notify>) -> Box<dyn Any + Send + Sync> {
        Box::new(self.0.subscribe(listener))
    }
}

impl fmt::Debug for LiveSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveSources")
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({})", self.0.id())
    }
}
