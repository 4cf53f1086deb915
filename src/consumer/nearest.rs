//! Partitions of a cluster as a member's consumers read them: here where there is a replica, else at the leader.

use super::live::Live;
use super::remote::{Listeners, Remote};
use super::source::{Ask, Bounds, Source, Sources};
use crate::client::Client;
use crate::config::ConsumerConfig;
use crate::error::{ErrorCode, Result};
use crate::node::{Node, Notify, Partition};
use crate::storage::AbortedTxn;
use crate::types::{Offset, Timestamp, TopicPartition};
use bytes::Bytes;
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// All partitions of the cluster that a node is a member of.
pub(super) struct NearestSources {
    pub node: Arc<Node>,
    pub client: Arc<Client>,
}

/// One that has a replica here, as long as it has.
struct Nearest {
    partition: Arc<Partition>,
    client: Arc<Client>,
    config: ConsumerConfig,
    listeners: Arc<Listeners>,
    place: Mutex<Place>,
}

struct Place {
    source: Arc<dyn Source>,
    is_here: bool,
    /// To the replica here: its news are passed on.
    _subscription: Option<Box<dyn Any + Send + Sync>>,
}

impl Sources for NearestSources {
    fn open(&self, partition: &TopicPartition, config: &ConsumerConfig) -> Result<Arc<dyn Source>> {
        match self.node.partition(&partition.topic, partition.partition) {
            Ok(here) if here.is_hosted() => Ok(Arc::new(Nearest::new(here, &self.client, config))),
            // It may have been created a moment ago: others may know it already.
            Err(error) if error.code() != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Err(error),
            Ok(_) | Err(_) => Ok(Arc::new(Remote::open(&self.client, partition, config, Arc::default())?)),
        }
    }
}

impl Nearest {
    fn new(partition: Arc<Partition>, client: &Arc<Client>, config: &ConsumerConfig) -> Nearest {
        let listeners: Arc<Listeners> = Arc::default();
        let live = Live(Arc::clone(&partition));
        let subscription = live.subscribe(Arc::clone(&listeners) as Arc<dyn Notify>);
        let place = Place { source: Arc::new(live), is_here: true, _subscription: Some(subscription) };
        Nearest { partition, client: Arc::clone(client), config: config.clone(), listeners, place: Mutex::new(place) }
    }

    /// Where to read now, and whether that is here.
    fn source(&self) -> (Arc<dyn Source>, bool) {
        let (source, is_here) = {
            let place = self.place.lock();
            (Arc::clone(&place.source), place.is_here)
        };
        if !is_here || self.partition.is_hosted() {
            return (source, is_here);
        }
        let listeners = Arc::clone(&self.listeners);
        let remote = Arc::new(Remote::new(&self.client, self.partition.id(), &self.config, listeners));
        let next = Place { source: remote.clone(), is_here: false, _subscription: None };
        let before = std::mem::replace(&mut *self.place.lock(), next);
        drop(before);
        (remote, false)
    }

    /// What a replica says while it is being taken away is not believed.
    fn ask<T>(&self, ask: impl Fn(&dyn Source) -> Result<T>) -> Result<T> {
        let (source, is_here) = self.source();
        let answer = ask(&*source);
        if !is_here || self.partition.is_hosted() {
            return answer;
        }
        ask(&*self.source().0)
    }
}

impl Source for Nearest {
    fn read(&self, what: Ask) -> Result<Bytes> {
        self.ask(|source| source.read(what))
    }

    fn bounds(&self, committed: bool) -> Result<Bounds> {
        self.ask(|source| source.bounds(committed))
    }

    fn offset_for_timestamp(&self, at: Timestamp) -> Result<Option<(Offset, Timestamp)>> {
        self.ask(|source| source.offset_for_timestamp(at))
    }

    fn aborted(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTxn>> {
        // Of what was read last, wherever that was.
        let source = Arc::clone(&self.place.lock().source);
        source.aborted(from, to)
    }

    fn subscribe(&self, listener: Arc<dyn Notify>) -> Box<dyn Any + Send + Sync> {
        self.listeners.add(listener)
    }
}

impl fmt::Debug for NearestSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NearestSources")
    }
}

impl fmt::Debug for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nearest({})", self.partition.id())
    }
}
