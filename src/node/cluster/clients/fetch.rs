//! A consumer's fetch: answered as soon as there is enough, something is wrong, or its time is over.

use super::partition::{ClientFetch, ClientFetched, ClientPartitions};
use super::produce::where_instead;
use super::purgatory::Operation;
use crate::error::Error;
use crate::types::{Offset, TopicPartition};
use crate::wire::{
    ConsumerFetchPartition, ConsumerFetchPartitionResponse, ConsumerFetchRequest, ConsumerFetchResponse, Response,
};
use bytes::Bytes;
use std::sync::Arc;

/// However much a client has room for, an answer holds no more (Kafka's `fetch.max.bytes` of a broker); but for a first batch that is longer.
const FETCH_BYTES_MAX: u32 = 55 << 20;

pub(super) struct ConsumerFetch {
    partitions: Arc<dyn ClientPartitions>,
    request: ConsumerFetchRequest,
}

/// What was read of all partitions together.
struct Read {
    answers: Vec<ConsumerFetchPartitionResponse>,
    bytes: u64,
    has_error: bool,
}

impl ConsumerFetch {
    pub fn new(request: ConsumerFetchRequest, partitions: Arc<dyn ClientPartitions>) -> ConsumerFetch {
        ConsumerFetch { partitions, request }
    }

    fn bytes_max(&self) -> u32 {
        self.request.bytes_max.min(FETCH_BYTES_MAX)
    }

    /// In the order of the request; the first batch that is found may be longer than everything together, the others have to do with
    /// what is left.
    fn read(&self) -> Read {
        let mut read = Read { answers: Vec::with_capacity(self.request.partitions.len()), bytes: 0, has_error: false };
        for asked in &self.request.partitions {
            let left = u64::from(self.bytes_max()).saturating_sub(read.bytes);
            let fetch = ClientFetch {
                from: asked.fetch_offset,
                bytes_max: asked.bytes_max.min(u32::try_from(left).unwrap_or(u32::MAX)),
                is_first: read.bytes == 0,
                isolation: self.request.isolation,
                current_leader_epoch: asked.current_leader_epoch,
            };
            let fetched = self.partitions.find(&asked.partition).and_then(|log| log.fetch(fetch));
            match &fetched {
                Ok(fetched) => read.bytes += fetched.records.len() as u64,
                Err(_) => read.has_error = true,
            }
            read.answers.push(self.answer(asked, fetched));
        }
        read
    }

    fn answer(
        &self,
        asked: &ConsumerFetchPartition,
        fetched: Result<ClientFetched, Error>,
    ) -> ConsumerFetchPartitionResponse {
        let current_leader = where_instead(&*self.partitions, &asked.partition, fetched.as_ref().err());
        let (records, ends) = match fetched {
            Ok(mut fetched) => (Ok(std::mem::take(&mut fetched.records)), fetched),
            Err(error) => (Err(error), nothing()),
        };
        ConsumerFetchPartitionResponse {
            partition: asked.partition.clone(),
            records,
            high_watermark: ends.high_watermark,
            last_stable_offset: ends.last_stable_offset,
            log_start: ends.log_start,
            aborted_transactions: ends.aborted,
            current_leader,
        }
    }
}

impl Operation for ConsumerFetch {
    fn partitions(&self) -> Vec<TopicPartition> {
        self.request.partitions.iter().map(|asked| asked.partition.clone()).collect()
    }

    fn look(&mut self) -> Option<Response> {
        let read = self.read();
        let is_enough = read.has_error
            || read.bytes >= u64::from(self.request.bytes_min)
            // A client's limits can be below what it waits for.
            || read.bytes >= u64::from(self.bytes_max())
            || read.answers.is_empty();
        is_enough.then_some(Response::ConsumerFetch(ConsumerFetchResponse { partitions: read.answers }))
    }

    fn expire(&mut self) -> Response {
        Response::ConsumerFetch(ConsumerFetchResponse { partitions: self.read().answers })
    }
}

/// What there is to say of a log that was not read.
fn nothing() -> ClientFetched {
    ClientFetched {
        records: Bytes::new(),
        high_watermark: Offset::ZERO,
        last_stable_offset: Offset::ZERO,
        log_start: Offset::ZERO,
        aborted: Vec::new(),
    }
}
