//! Looking at files on disk without opening an engine: what lies there, whether it is sound, and what mending it would cost.
//!
//! Nothing here takes a lock or writes, except [`Repair::apply`].

mod check;
mod check_partition;
mod check_segment;
mod dump;
mod mend;
mod repair;
mod residency;
mod surroundings;
mod view;
mod walk;

pub use check::{check, CheckReport, CheckScope, Damage, DamageKind, Severity};
pub use dump::{BatchDump, DumpedRecord, IndexDump, LogDump, ProducerDump, TimeDump, TxnDump};
pub use repair::{Repair, RepairReport, RepairStep};
pub use residency::{cache, CacheReport, PartitionCache, SegmentCache, UnplugLoss};
pub use surroundings::{surroundings, FileSystem, Surroundings};
pub use view::{DataDirView, PartitionView, SegmentView};
