//! What the unit tests share.

use std::path::PathBuf;

/// The folder of vectors and fault tools beside the checkout, where there is one. A test that needs it returns early, after
/// this has said so.
pub fn shared() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if path.join("vectors").is_dir() {
        return Some(path);
    }
    println!("SKIP: ../shared is absent, so its vectors were not read");
    None
}
