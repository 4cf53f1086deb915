//! The C door, seen from outside: programs that know only `include/kafkalog.h`, compiled by this machine's compilers.

#[cfg(not(feature = "ffi-panic-injection"))]
mod examples;
mod header;
mod kit;
#[cfg(not(feature = "ffi-panic-injection"))]
mod layout;
mod programs;
mod symbols;
