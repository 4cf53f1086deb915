//! The promises of the node, kept on a real disk.
