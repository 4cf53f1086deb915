//! `meta.properties`: which node of which cluster owns a data directory.

use crate::disk::Disk;
use crate::error::Result;
use crate::types::NodeId;
use std::path::Path;

/// The file's name inside a data directory.
pub const META_PROPERTIES_FILE: &str = "meta.properties";

/// The identity of a data directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetaProperties {
    pub cluster_id: Option<String>,
    pub node_id: Option<NodeId>,
    /// `directory.id`, a random id of this directory.
    pub directory_id: Option<[u8; 16]>,
}

impl MetaProperties {
    /// Reads versions 0 and 1; `None` when there is no file. UNSUPPORTED_VERSION for a newer one, naming both versions.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<MetaProperties>> {
        let _ = (disk, dir);
        todo!()
    }
    /// Writes version 1; atomic, durable on return. The node id must be known.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        let _ = (disk, dir);
        todo!()
    }
    /// STATE, naming both ids, when the directory belongs to another node.
    pub fn check_owner(&self, dir: &Path, node_id: NodeId) -> Result<()> {
        let _ = (dir, node_id);
        todo!()
    }
    /// Reads the file and checks the owner, or writes a new one with fresh ids.
    pub fn claim(disk: &dyn Disk, dir: &Path, node_id: NodeId) -> Result<MetaProperties> {
        let _ = (disk, dir, node_id);
        todo!()
    }
}
