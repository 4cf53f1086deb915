//! What a cluster of engines promises to whoever embeds it: three members in one process, each with its own directory and threads.
#![cfg(feature = "quorum")]

mod appointed;
mod clients;
mod joiners;
mod members;
mod sockets;
mod unreachable;
mod vote_only;
mod world;
