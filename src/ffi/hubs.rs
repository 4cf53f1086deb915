//! `inproc://`: engines of one process that find each other by name. C has no object for what they share, so the process has it.

use crate::disk::fork_generation;
use crate::{ChannelHub, Error, ErrorCode, Result, Transport};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One for each cluster, so that two clusters may use the same names; and for each process, so that a forked child finds its own.
static HUBS: Mutex<BTreeMap<(Option<u32>, String), ChannelHub>> = Mutex::new(BTreeMap::new());

/// A place under the name of an `inproc://` address among the engines of a cluster.
///
/// # Errors
/// INVALID_CONFIG when another engine of the cluster has the name.
pub(super) fn transport(cluster_id: &str, url: &str) -> Result<Arc<dyn Transport>> {
    let name = url.trim().trim_start_matches("inproc://");
    let hub = HUBS.lock().entry((fork_generation(), cluster_id.to_owned())).or_default().clone();
    match hub.transport(name) {
        Ok(transport) => Ok(Arc::new(transport)),
        Err(refused) => Err(Error::new(ErrorCode::INVALID_CONFIG, format!("listeners={url}: {}", refused.message()))),
    }
}
