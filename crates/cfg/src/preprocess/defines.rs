//! The table of defines.

use std::collections::HashMap;

use crate::source::Span;

/// A name given by `#!define`, `-A` or the server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Define {
    /// The name.
    pub name: String,
    /// What it stands for, as written: a string has its quotes. `None` when it is only defined.
    pub value: Option<String>,
    /// Where it was defined; `None` for predefined names.
    pub span: Option<Span>,
}

impl Define {
    /// The value without quotes around it, as `$def(NAME)` gives it.
    pub fn unquoted(&self) -> Option<&str> {
        let value = self.value.as_deref()?.trim();
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return Some(value);
        };
        match value.get(1..).and_then(|inner| inner.split_once(quote)) {
            // A comment may follow; more than one string stays as it is.
            Some((inner, behind)) if behind.is_empty() || behind.trim_start().starts_with(['#', '/']) => {
                Some(inner)
            }
            _ => Some(value),
        }
    }
}

/// All names defined at the end of the configuration, in the order of their definition.
#[derive(Clone, Debug, Default)]
pub struct Defines {
    list: Vec<Define>,
    index: HashMap<String, usize>,
}

impl Defines {
    pub(crate) fn predefined((major, minor, patch): (u32, u32, u32)) -> Self {
        let mut new = Self::default();
        let mut add = |name: String, value: Option<String>| new.set(Define { name, value, span: None });
        add(format!("KAMAILIO_{major}"), None);
        add(format!("KAMAILIO_{major}_{minor}"), None);
        add(format!("KAMAILIO_{major}_{minor}_{patch}"), None);
        add("KAMAILIO_VERSION".into(), Some((major * 1_000_000 + minor * 1_000 + patch).to_string()));
        add("OS_NAME".into(), Some(format!("\"{}\"", std::env::consts::OS)));
        add("TRUNKLINE".into(), None);
        new
    }

    pub(crate) fn set(&mut self, define: Define) {
        match self.index.get(&define.name).and_then(|at| self.list.get_mut(*at)) {
            Some(known) => *known = define,
            None => {
                self.index.insert(define.name.clone(), self.list.len());
                self.list.push(define);
            }
        }
    }

    pub(crate) fn set_module(&mut self, module: &str) {
        self.set(Define { name: format!("MOD_{module}"), value: None, span: None });
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(at) = self.index.remove(name) else { return false };
        self.list.remove(at);
        self.index.values_mut().filter(|other| **other > at).for_each(|other| *other -= 1);
        true
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Define> {
        self.index.get(name).and_then(|at| self.list.get(*at))
    }

    /// Whether `name` is defined, with or without a value (`KSR.kx.ifdef`).
    pub fn is_defined(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// The value of `name` without quotes (`$def(name)`); `None` when it is not defined or has no value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.find(name).and_then(Define::unquoted)
    }

    /// All defines, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Define> {
        self.list.iter()
    }
}
