//! A made-up world for tests: a disk that forgets what was not synced, a clock that is told the time, a disk that counts, a network
//! that loses.
//!
//! Everything in it is deterministic: the same seed and the same calls give the same bytes.
//!
//! And whole clusters in it, of the very nodes that run in production:
//!
//! ```text
//!   seed --> Plan --> World: events by time --> nodes (life), on their disks, clocks and the network --> Checker --> Finding
//!                       ^                                                      |
//!                       '---- producers, readers, an administrator <-----------'
//! ```
//!
//! | room | what |
//! |---|---|
//! | `disk`, `clock`, `counting`, `network` | the made-up machine |
//! | `log_model` | one log beside a plain list |
//! | `plan` | what a seed stands for: nodes, settings, programs, troubles |
//! | `world` | the events, what goes wrong, and how it comes right |
//! | `life` | a node as the world sees it, and the real one as such |
//! | `workload`, `payload` | who works on the cluster, and what is written |
//! | `checker`, `findings` | what must be true; what was found |
//! | `trace`, `run` | what happened; one seed from beginning to end (`simulate --seed N`) |

mod checker;
mod clock;
mod counting;
mod disk;
mod findings;
mod life;
#[cfg(test)]
mod log_model;
mod network;
mod payload;
mod plan;
mod run;
#[cfg(all(test, feature = "quorum"))]
mod tests;
mod trace;
mod workload;
mod world;

pub use checker::Checks;
pub use clock::{Pace, SimClock};
pub use counting::{Call, CallCounts, CountingDisk};
pub use disk::{FaultKind, FaultyCalls, Repeat, SimDisk, SECTOR_BYTES};
pub use findings::{Broken, Finding};
pub use network::{Arrival, SimNetwork, SimTransport, Weather};
pub use plan::Wish;
#[cfg(feature = "quorum")]
pub use run::simulate;
pub use run::Outcome;
pub use trace::Trace;
