//! Links the program to the memory of a board, where there is no operating system.

fn main() {
    let of_target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}"));
    if let (Ok("none"), Ok(processor)) = (of_target("OS").as_deref(), of_target("ARCH")) {
        println!("cargo:rustc-link-search={}/boards/{processor}", env!("CARGO_MANIFEST_DIR"));
        println!("cargo:rustc-link-arg-bins=-Tlink.x");
    }
    println!("cargo:rerun-if-changed=boards");
}
