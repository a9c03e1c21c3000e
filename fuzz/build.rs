//! Builds the ends of `clients/c`, and what plays lines of input to them.

fn main() {
    println!("cargo:rerun-if-changed=../clients/c");
    println!("cargo:rerun-if-changed=src/play.c");
    println!("cargo:rerun-if-env-changed=ASAN");
    let mut build = cc::Build::new();
    build.file("../clients/c/countersign.c").file("src/play.c");
    build.define("CS_SEAL", None).define("CS_RAW", None).std("c99").opt_level(2);
    if std::env::var_os("ASAN").is_some_and(|value| !value.is_empty()) {
        build.flag("-fsanitize=address");
    }
    build.compile("countersign_c");
}
