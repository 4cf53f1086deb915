//! Where the engine's few words go. Nowhere, unless the host says otherwise: the library never prints.

use crate::node::LogLevel;

/// Receives log lines. Called from any thread of the engine, with no lock of the engine held; it should return quickly. A line that
/// repeats within ten seconds comes once, and then with a count.
pub trait LogSink: Send + Sync {
    /// One line: how much it matters, which part of the engine speaks, and what it says.
    fn log(&self, level: LogLevel, facility: &str, text: &str);
}
