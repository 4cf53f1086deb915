//! How much of everything a message may hold. The sender keeps to these limits and the receiver checks them.

use crate::transport::FRAME_BYTES_MAX;

/// A name, an address, a rack, a setting's value (the controller's own limit).
pub(crate) const TEXT_BYTES_MAX: usize = 32 * 1024;
/// The sentence of an error. A longer one is cut when it is sent.
pub(crate) const ERROR_TEXT_BYTES_MAX: usize = 1_024;
/// Nodes of one list: a cluster's, a partition's replicas (the controller's own limit).
pub(crate) const NODES_MAX: usize = 1_024;
/// Partitions of one list: a request's, a topic's.
pub(crate) const PARTITIONS_MAX: usize = 200_000;
/// Topics of one list.
pub(crate) const TOPICS_MAX: usize = 100_000;
/// Settings of one topic (the controller's own limit).
pub(crate) const SETTINGS_MAX: usize = 1_000;
/// Encoded batches for one partition of a produce request.
pub(crate) const BATCHES_MAX: usize = 10_000;
/// Aborted transactions of one fetched range.
pub(crate) const ABORTED_TRANSACTIONS_MAX: usize = 100_000;
/// Record batches for or of one partition; a frame with a single partition may hold as many.
pub(crate) const RECORDS_BYTES_MAX: usize = FRAME_BYTES_MAX as usize;

/// Record batches of fewer bytes are copied: a part of a frame of their own costs more.
pub(super) const SHARED_BYTES_MIN: usize = 1_024;
/// What a message may occupy in memory for each byte that arrived, in each list that lies in another. Checked by the compiler.
pub(super) const MEMORY_PER_BYTE_MAX: usize = 16;
