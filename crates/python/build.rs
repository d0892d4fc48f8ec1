//! Finds the interpreter this crate is built against and lets what links it find its libpython at run time.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    let config = pyo3_build_config::get();
    if let Some(dir) = &config.lib_dir {
        // For this crate's own tests and examples; the server's build script reads `libdir` for its binary.
        println!("cargo:rustc-link-arg=-Wl,-rpath,{dir}");
        println!("cargo:libdir={dir}");
    }
    println!(
        "cargo:rustc-env=TRUNKLINE_PYTHON_EXECUTABLE={}",
        config.executable.as_deref().unwrap_or_default()
    );
    println!("cargo:rerun-if-env-changed=PYO3_PYTHON");
    println!("cargo:rerun-if-changed=build.rs");
}
