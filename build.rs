//! Gives the shared library its soname. Cargo has no setting for it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target_os == "linux" || target_os == "android" {
        // 0.x releases share one soname: nothing is removed or changed within it.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkafkalog.so.0");
        // A library that has started threads must not be unloaded.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
