//! All rows of the loaded modules, and the lookups engines need.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use crate::{Format, Function, Interest, Module, PseudoVariable, Pv, RpcCommand};

/// Rows of the loaded modules.
#[derive(Default)]
pub struct Registry {
    modules: Vec<Arc<dyn Module>>,
    /// `(object, name)` to the module's place and the row.
    functions: HashMap<(&'static str, &'static str), (usize, &'static Function)>,
    /// Name in the native route language to the rows, one per number of parameters.
    cfg_functions: HashMap<&'static str, Vec<(usize, &'static Function)>>,
    pseudo_variables: HashMap<&'static [u8], &'static PseudoVariable>,
    /// Who wants to hear of requests and transactions.
    listeners: Vec<(Interest, Arc<dyn Module>)>,
    interest: Interest,
}

impl Registry {
    /// Joins the rows of these modules. `core`, `pv`, `hdr` and `x` must be among them. Where two rows have one name the first stays.
    pub fn new(modules: Vec<Arc<dyn Module>>) -> Registry {
        let mut registry = Registry::default();
        for (i, module) in modules.iter().enumerate() {
            let interest = module.interest();
            if !interest.is_none() {
                registry.listeners.push((interest, module.clone()));
                registry.interest = registry.interest | interest;
            }
            for f in module.functions() {
                registry.functions.entry((f.object, f.name)).or_insert((i, f));
                for name in f.cfg {
                    registry.cfg_functions.entry(name).or_default().push((i, f));
                }
            }
            for pv in module.pseudo_variables() {
                registry.pseudo_variables.entry(pv.name.as_bytes()).or_insert(pv);
            }
        }
        registry.modules = modules;
        registry
    }
    /// Loaded modules in load order.
    pub fn modules(&self) -> &[Arc<dyn Module>] {
        &self.modules
    }
    /// What any module may want to hear.
    pub fn interest(&self) -> Interest {
        self.interest
    }
    /// The modules that want to hear of any of these moments, in load order.
    pub fn listeners(&self, wanted: Interest) -> impl Iterator<Item = &Arc<dyn Module>> + '_ {
        self.listeners.iter().filter(move |(interest, _)| interest.meets(wanted)).map(|(_, module)| module)
    }
    /// A module by type.
    pub fn module<M: Module>(&self) -> Option<&M> {
        self.modules.iter().find_map(|m| (m.as_ref() as &dyn Any).downcast_ref::<M>())
    }
    /// A function by object (empty for `KSR` itself) and name, with the instance to call it on.
    pub fn function(&self, object: &str, name: &str) -> Option<(&Arc<dyn Module>, &'static Function)> {
        let (i, f) = self.functions.get(&(object, name))?;
        Some((self.modules.get(*i)?, f))
    }
    /// The functions a name of the native route language stands for: they differ in their number of parameters.
    pub fn cfg_function(
        &self,
        name: &str,
    ) -> impl Iterator<Item = (&Arc<dyn Module>, &'static Function)> + '_ {
        let rows = self.cfg_functions.get(name).map(Vec::as_slice).unwrap_or_default();
        rows.iter().filter_map(|(i, f)| Some((self.modules.get(*i)?, *f)))
    }
    /// A pseudo-variable's row by its name without `$`.
    pub fn pseudo_variable(&self, name: &[u8]) -> Option<&'static PseudoVariable> {
        self.pseudo_variables.get(name).copied()
    }
    /// All functions with the module instance to call them on.
    pub fn functions(&self) -> impl Iterator<Item = (&Arc<dyn Module>, &'static Function)> + '_ {
        self.modules.iter().flat_map(|m| m.functions().iter().map(move |f| (m, f)))
    }
    /// All RPC commands with their module.
    pub fn rpc(&self) -> impl Iterator<Item = (&Arc<dyn Module>, &'static RpcCommand)> + '_ {
        self.modules.iter().flat_map(|m| m.rpc().iter().map(move |r| (m, r)))
    }
    /// All pseudo-variables.
    pub fn pseudo_variables(&self) -> impl Iterator<Item = &'static PseudoVariable> + '_ {
        self.modules.iter().flat_map(|m| m.pseudo_variables().iter())
    }
    /// Parses a pseudo-variable as a script writes it. The error names what is unknown and the nearest name.
    pub fn parse_pv(&self, text: &[u8]) -> Result<Pv, String> {
        Pv::parse(self, text)
    }
    /// Parses text with pseudo-variables.
    pub fn parse_format(&self, text: &[u8]) -> Result<Format, String> {
        Format::parse(self, text)
    }
    /// The function nearest to a path (`tm.t_rely`, `inf`), for "did you mean".
    pub fn nearest_function(&self, path: &str) -> Option<String> {
        let paths: Vec<String> = self.functions.values().map(|(_, f)| f.path()).collect();
        let wanted = format!("KSR.{}", path.strip_prefix("KSR.").unwrap_or(path));
        nearest(&wanted, paths.iter().map(String::as_str)).map(str::to_string)
    }
}

/// The name nearest to `wanted` by edit distance, if one is near enough to be worth a suggestion. Ties go to the alphabet.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wanted.chars().count() / 3).max(1);
    names
        .map(|n| (distance(&wanted.to_ascii_lowercase(), &n.to_ascii_lowercase()), n))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, n)| n)
}

/// Edits (insert, delete, replace, swap of neighbours) between two short texts.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let mut d = (last[j] + usize::from(ca != cb)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                d = d.min(before[j - 1] + 1);
            }
            row.push(d);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near_or_absent() {
        let names = ["KSR.tm.t_relay", "KSR.tm.t_reply", "KSR.info"];
        assert_eq!(nearest("KSR.tm.t_rely", names.into_iter()), Some("KSR.tm.t_relay"));
        assert_eq!(nearest("KSR.inof", names.into_iter()), Some("KSR.info"));
        assert_eq!(nearest("something else", names.into_iter()), None);
        assert_eq!(distance("abc", "acb"), 1);
    }
}
