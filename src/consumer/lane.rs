//! One assigned partition of a consumer: its source, its news, its share of what was fetched.

use super::fetcher::Fetcher;
use super::records::PositionReset;
use super::source::{Ask, Source};
use super::{StartAt, Waker};
use crate::config::OffsetReset;
use crate::error::{Error, Result};
use crate::node::Notify;
use crate::record::batches;
use crate::storage::AbortedTxn;
use crate::types::{Offset, TopicPartition};
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// One assigned partition.
pub(super) struct Lane {
    pub fetcher: Fetcher,
    pub source: Arc<dyn Source>,
    pub news: Arc<News>,
    pub is_paused: bool,
    _subscription: Box<dyn Any + Send + Sync>,
}

/// Set by the partition, cleared before it is read: a partition at its end costs a poll one load.
pub(super) struct News {
    pub is_fresh: AtomicBool,
    waker: Waker,
}

impl Notify for News {
    fn notify(&self) {
        self.is_fresh.store(true, Ordering::SeqCst);
        self.waker.announce();
    }
}

impl Lane {
    /// Subscribes first, so that nothing is missed between the look for the start and the first read.
    pub fn open(
        id: &TopicPartition,
        source: Arc<dyn Source>,
        start: StartAt,
        committed: bool,
        waker: Waker,
    ) -> Result<Lane> {
        let news = Arc::new(News { is_fresh: AtomicBool::new(true), waker });
        let subscription = source.subscribe(news.clone());
        let (position, proven) = resolve(&*source, start, committed)?;
        let fetcher = Fetcher::new(id.clone(), position, proven);
        Ok(Lane { fetcher, source, news, is_paused: false, _subscription: subscription })
    }

    pub fn seek(&mut self, to: StartAt, committed: bool) -> Result<()> {
        let (position, proven) = resolve(&*self.source, to, committed)?;
        self.fetcher.seek(position, proven);
        self.news.is_fresh.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Reads at the position; how many bytes came.
    pub fn read(&mut self, bytes_max: u64, committed: bool) -> Result<u64> {
        let from = self.fetcher.position();
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let found = self.source.read(Ask { from, bytes_max, committed })?;
        let bytes = found.len() as u64;
        if bytes > 0 {
            let aborted = if committed { self.aborted(from, &found)? } else { Vec::new() };
            self.fetcher.handle_fetched(found, aborted);
        }
        Ok(bytes)
    }

    fn aborted(&self, from: Offset, found: &[u8]) -> Result<Vec<AbortedTxn>> {
        let last = batches(found).map_while(Result::ok).last();
        let to = last.map_or(from, |(_, batch)| batch.header().end_offset());
        self.source.aborted(from, to)
    }

    /// The position is not in the log: moves it by the policy, or gives the error back, which then stays until a seek.
    pub fn reset(&mut self, policy: OffsetReset, committed: bool, error: &Error) -> Result<PositionReset> {
        let bounds = self.source.bounds(committed)?;
        let from = self.fetcher.position();
        let was_cut = self.fetcher.is_proven() && from >= bounds.start;
        let to = match policy {
            // Records that were read are gone, and others may take their offsets: no policy was asked for that.
            _ if was_cut => None,
            OffsetReset::Earliest => Some(bounds.start),
            OffsetReset::Latest => Some(bounds.end),
            OffsetReset::None => None,
        };
        let Some(to) = to else {
            self.fetcher.fail(error.clone());
            return Err(error.clone());
        };
        self.fetcher.seek(to, true);
        Ok(PositionReset { partition: self.fetcher.id().clone(), from, to })
    }
}

/// The offset that a start means now, and whether the log has just named it itself.
fn resolve(source: &dyn Source, start: StartAt, committed: bool) -> Result<(Offset, bool)> {
    Ok(match start {
        StartAt::Offset(offset) => (offset, false),
        StartAt::Earliest => (source.bounds(committed)?.start, true),
        StartAt::Latest => (source.bounds(committed)?.end, true),
        StartAt::Timestamp(at) => match source.offset_for_timestamp(at)? {
            Some((offset, _)) => (offset, true),
            None => (source.bounds(committed)?.end, true),
        },
    })
}
