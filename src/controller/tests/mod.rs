//! The rules one by one, then whole clusters.

mod alter_partition;
mod appointed;
mod cluster;
mod codec;
mod elect;
mod image;
mod nodes;
mod reassign;
mod sweep;
mod topics;
mod world;

#[cfg(feature = "quorum")]
mod active;
#[cfg(feature = "quorum")]
mod cluster_checks;
#[cfg(feature = "quorum")]
mod cluster_faults;
#[cfg(feature = "quorum")]
mod cluster_model;
