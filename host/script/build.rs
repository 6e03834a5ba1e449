//! Gives the guest a larger stack than the linker's 1 MiB.

/// Bytes of stack. The engine's parser takes up to 18 KiB for a level of nesting, of which the transpiler lets 128
/// through.
const STACK: usize = 4 * 1024 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK}");
    }
}
