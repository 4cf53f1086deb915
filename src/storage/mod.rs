//! One partition's log on disk: segments, their indexes and the small files around them. No network, no roles.

pub mod checkpoint;
pub mod index;
pub mod leader_epochs;
pub mod log_dir;
pub mod meta_properties;
pub mod names;
pub mod partition_metadata;
pub mod producer_states;
pub mod txn_index;
#[cfg(test)]
mod vectors;

pub use checkpoint::OffsetCheckpoint;
pub use index::{OffsetIndex, TimeEntry, TimeIndex};
pub use leader_epochs::LeaderEpochs;
pub use log_dir::LogDir;
pub use producer_states::{EndTxn, ProducerBatch, ProducerStates, Verdict};
pub use txn_index::{AbortedTxn, TxnIndex};
