//! Finds the interpreter this crate is built against and lets what links it find its libpython at run time.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    let config = pyo3_build_config::get();
    if let Some(dir) = &config.lib_dir {
        // For this crate's own tests and examples; the server's build script reads `libdir` for its binary.
        println!("cargo:rustc-link-arg=-Wl,-rpath,{dir}");
        println!("cargo:libdir={dir}");
    }
    if !config.shared {
        link_static(config.executable.as_deref().unwrap_or("python3"));
    }
    println!(
        "cargo:rustc-env=TRUNKLINE_PYTHON_EXECUTABLE={}",
        config.executable.as_deref().unwrap_or_default()
    );
    println!("cargo:rerun-if-env-changed=PYO3_PYTHON");
    println!("cargo:rerun-if-changed=build.rs");
}

/// A libpython that is part of the program: extension modules look for its functions there, so they must be visible; and the
/// libraries that its built-in modules need are ours to link.
fn link_static(python: &str) {
    println!("cargo:rustc-link-arg=-Wl,--export-dynamic");
    println!("cargo:static=1");
    let program = "import sysconfig; print(*(sysconfig.get_config_var(v) or '' for v in ('LIBS', 'SYSLIBS', 'MODLIBS')))";
    let libraries = std::process::Command::new(python).args(["-c", program]).output();
    let libraries = match libraries {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        other => {
            println!("cargo:warning={python} does not say what its libpython needs: {other:?}");
            return;
        }
    };
    let names: std::collections::BTreeSet<&str> =
        libraries.split_whitespace().filter_map(|word| word.strip_prefix("-l")).collect();
    for name in names {
        println!("cargo:rustc-link-lib={name}");
    }
}
