//! One partition's log on disk: segments, their indexes and the small files around them. No network, no roles.

mod api;
mod append;
mod append_group;
mod append_raw;
mod append_verbatim;
mod background_flush;
pub mod checkpoint;
mod close;
#[cfg(test)]
mod crash_tests;
pub(crate) mod doubt;
mod epoch_replay;
mod epochs;
mod flush;
pub mod index;
pub mod leader_epochs;
mod leftovers;
mod log;
pub mod log_dir;
mod mark;
pub mod meta_properties;
pub mod names;
mod open_files;
pub mod partition_metadata;
pub mod producer_states;
mod read;
mod read_buffers;
mod recovery;
mod renames;
mod retention;
mod roll;
mod room_ahead;
mod scan;
mod segment;
mod segments;
mod tail;
mod times;
mod truncate;
pub mod txn_index;
#[cfg(test)]
mod vectors;
mod writeback;

pub use api::{Appended, Fetch, Fetched, LogOffsets, Opening, UpTo};
pub(crate) use append::end_txn_of;
pub use append_raw::JudgedBatch;
pub use checkpoint::OffsetCheckpoint;
pub use index::{OffsetIndex, TimeEntry, TimeIndex};
pub use leader_epochs::LeaderEpochs;
pub use log::Log;
pub use log_dir::LogDir;
pub use mark::{read_flushed_mark, MARK_FILE};
pub use open_files::OpenFiles;
pub use producer_states::{ProducerBatch, ProducerStates};
pub use txn_index::{AbortedTxn, TxnIndex};

#[cfg(test)]
mod tests;
