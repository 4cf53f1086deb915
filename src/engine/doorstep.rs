//! Where the other nodes of a cluster reach this one.
#![cfg_attr(not(feature = "quorum"), allow(dead_code))]

use crate::config::{ControllerMode, EngineConfig};
use crate::error::{Error, ErrorCode, Result};
use crate::transport::{SocketSettings, SocketTransport, TlsKeys, Transport};
use std::sync::Arc;

/// The sockets of an engine that was given no transport.
#[derive(Default)]
pub(super) struct Doorstep(Option<Arc<SocketTransport>>);

impl Doorstep {
    /// Listens where `listeners` says, and writes down which port that became.
    pub(super) fn open(config: &mut EngineConfig, seed: u64) -> Result<(Doorstep, Arc<dyn Transport>)> {
        let cluster = &mut config.cluster;
        let Some(url) = &cluster.listener else {
            return Err(Error::new(ErrorCode::INVALID_CONFIG, "listeners is needed by a member of a cluster"));
        };
        if url.starts_with("inproc://") {
            let text = format!(
                "listeners={url}: nodes of one process need a transport from one hub (EngineBuilder::transport)"
            );
            return Err(Error::new(ErrorCode::INVALID_CONFIG, text));
        }
        let socket = Arc::new(SocketTransport::new(SocketSettings {
            cluster: cluster.cluster_id.unwrap_or_default(),
            secret: cluster.secret.clone(),
            tls: TlsKeys::load(&cluster.ssl)?,
            seed,
            // Where the program appoints, it also says which nodes there are.
            guests_max: if cluster.mode == ControllerMode::Static { 0 } else { SocketSettings::default().guests_max },
            ..SocketSettings::default()
        }));
        cluster.listener = Some(socket.listen(url)?);
        Ok((Doorstep(Some(Arc::clone(&socket))), socket))
    }

    pub(super) fn listen(&self, url: &str) -> Result<String> {
        match &self.0 {
            Some(socket) => socket.listen(url),
            None => {
                Err(Error::new(ErrorCode::STATE, "this engine does not listen itself: its transport is the host's"))
            }
        }
    }
}
