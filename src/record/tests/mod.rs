//! Promises of the whole room, from golden bytes to foreign ones.
