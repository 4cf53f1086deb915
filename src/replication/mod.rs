//! Replication of one partition, pure: who has what, how far is safe, and what to do next.
//!
//! No log, no file, no frame, no clock, no thread: the node tells what happened, the cores answer. Batches pass through as opaque
//! bytes. Followers pull, so a fetch is also the acknowledgement of everything before it.
//!
//! ```text
//!                  leader                                                  follower
//!   append, flush --> handle_log                                           poll_fetch
//!                       |   HighWatermarkAdvanced      FetchRequest            |
//!                       |   ProposeIsr             <---------------------------+
//!                       v                                                      |
//!                     handle_fetch --> Serve | Diverged | Refuse               v
//!                                          |           FetchResponse       handle_response --> Append | Truncate | ...
//!                                          +-------------------------->        ^                    |
//!   controller --> handle_isr_verdict, handle_partition, handle_standing       +-- handle_appended, handle_truncated
//! ```
//!
//! Three ends order every log: `log_start <= high_watermark <= log_end`. The one word that Kafka does not have is *vouched*: the end
//! that a replica stands up for, its flushed end under `flush.messages=1`, else its log end. It is vouched ends that move the high
//! watermark and let a replica into the ISR; log ends decide what to send and who lags.
//!
//! What the cores need from whoever calls them:
//! * **A reign dies with the process.** A node that restarted may have lost records of its own epoch that others hold, so it must be
//!   given a new leader epoch before it leads again.
//! * **A node's life has a number** ([`NodeEpoch`]), higher with each start; a replica that may have lost what it vouched for leaves
//!   the ISR and the eligible leader replicas when it registers again (KIP-966).
//! * **A leader assigns its epoch to the epoch cache, at its log end, before it serves anybody;** a follower cuts the epoch cache with
//!   every truncation, even one that cuts no record.
//! * **The controller answers an ISR proposal that changes nothing with a new partition epoch**; `isr.rs` says why.
//!
//! Rules are Apache Kafka's (`Partition.scala`, `Replica.scala`, `AbstractFetcherThread.scala`; KIP-101, KIP-279, KIP-320, KIP-497, KIP-595's
//! truncation on fetch, KIP-841, KIP-903, KIP-966).
#![cfg_attr(not(test), allow(dead_code))] // getters that only the tests ask

mod facts;
mod follower;
mod isr;
mod leader;
mod message;
mod progress;
#[cfg(test)]
mod tests;

pub use facts::{IsrMember, IsrProposal, IsrVerdict, LogFacts, NodeEpoch, PartitionEpoch, PartitionState, Standing};
pub use follower::{Follower, FollowerSetup, FollowerStep, Settled};
pub use isr::PROPOSAL_RETRY;
pub use leader::{AckVerdict, FetchVerdict, Fetching, Leader, LeaderOutput, LeaderSetup};
pub use message::{check_leader_epoch, Correlation, FetchOutcome, FetchRequest, FetchResponse};
