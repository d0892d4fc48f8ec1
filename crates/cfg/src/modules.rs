//! `loadmodule` and `modparam`.

use crate::source::Span;
use crate::subst;
use crate::value::Value;

/// A `loadmodule` statement, or `--loadmodule` of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadModule {
    /// The module's name: `tm` from `tm`, `tm.so` or `/usr/lib/kamailio/modules/tm.so`.
    pub name: String,
    /// What the configuration says.
    pub as_written: String,
    /// The second argument of `loadmodule("m.so", "go")`: `g` global symbols, `o` skip if loaded already.
    pub options: String,
    /// `loadmodulex`: the name may hold pseudo-variables.
    pub expand: bool,
    /// The module's name in the configuration.
    pub span: Span,
}

/// A `modparam` statement, or `--modparam` of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModParam {
    /// The loaded modules that the pattern matches, in the order they were loaded.
    pub modules: Vec<String>,
    /// The first argument as written: a name, names joined with `|`, or a regular expression.
    pub pattern: String,
    /// The parameter.
    pub name: String,
    /// An integer or a string.
    pub value: Value,
    /// `modparamx`: the value may hold pseudo-variables.
    pub expand: bool,
    /// The first argument.
    pub module_span: Span,
    /// The parameter's name.
    pub name_span: Span,
    /// The value.
    pub value_span: Span,
    /// The whole statement.
    pub span: Span,
}

/// The name of the module in a path: `tm` from `/usr/lib/kamailio/modules/tm.so`.
pub fn module_name(written: &str) -> String {
    let file = written.trim().rsplit('/').next().unwrap_or("");
    file.strip_suffix(".so").unwrap_or(file).to_owned()
}

/// The loaded modules that `pattern` matches as a whole.
pub(crate) fn matching(pattern: &str, loaded: &[LoadModule]) -> Result<Vec<String>, String> {
    let regex = subst::posix(&format!("^({pattern})$"), false)?;
    let mut found: Vec<String> = Vec::new();
    for module in loaded {
        if regex.is_match(&module.name) && !found.contains(&module.name) {
            found.push(module.name.clone());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_paths() {
        for written in ["tm", "tm.so", "modules/tm.so", "/usr/lib/kamailio/modules/tm/tm.so"] {
            assert_eq!(module_name(written), "tm");
        }
        assert_eq!(module_name("app_python3.so"), "app_python3");
    }
}
