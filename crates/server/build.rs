//! Lets the binary find the libpython it was built against, wherever that is installed.

fn main() {
    // Set by the build script of the python crate.
    if let Ok(dir) = std::env::var("DEP_TRUNKLINE_PYTHON_LIBDIR") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{dir}");
    }
    // A libpython inside of the binary: extension modules look for its functions there.
    if std::env::var_os("DEP_TRUNKLINE_PYTHON_STATIC").is_some() {
        println!("cargo:rustc-link-arg=-Wl,--export-dynamic");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
