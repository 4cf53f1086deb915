//! Every setting, in one table; builders, the C string setter and the printed lists are derived from it.
//!
//! A name is looked up in its scope ([`Scope`]), its value is parsed and held against the legal range of its row, and
//! what does not fit is refused with INVALID_CONFIG (40), naming the setting, the value and the range. Only settings that
//! have an effect are listed; a name that Kafka knows and this version does not is refused as such, never ignored.

mod address;
mod client;
mod cluster;
mod consumer;
mod describe;
mod engine;
mod log;
mod lookup;
mod producer;
mod ssl;
mod table;
mod topic;
mod value;

pub use client::ClientConfig;
#[allow(unused_imports)] // for the node, when it joins clusters
pub use cluster::{ClusterConfig, ControllerMode};
pub use consumer::{ConsumerConfig, IsolationLevel, OffsetReset};
pub use describe::describe_json;
pub use engine::EngineConfig;
pub use log::{DirFullPolicy, LogConfig};
pub use lookup::{check, default_of, validate};
pub use producer::ProducerConfig;
pub use ssl::SslConfig;
pub use table::{settings, Scope, Setting};
pub use topic::{TopicConfig, TopicOverrides};
