//! The operating system's file system.

/// Files and directories of the operating system. Every descriptor is `O_CLOEXEC`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;
