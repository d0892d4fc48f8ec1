//! Modules from `loadmodule` and `modparam`: every name and type is checked before anything starts, and all findings are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use cfg::{Config, Diagnostic, LoadModule, Severity, Value, suggest};
use script::{CoreConfig, Listener, Module, ParamType, ParamValue, Setup};
use transaction::Now;

/// Modules that are loaded, not set up yet.
pub struct Loaded {
    modules: Vec<(Box<dyn Module>, Option<usize>)>,
}

/// Makes the modules and sets their parameters.
pub fn load(config: &Config, first: Vec<Box<dyn Module>>, found: &mut Vec<Diagnostic>) -> Loaded {
    let mut modules: Vec<(Box<dyn Module>, Option<usize>)> = first.into_iter().map(|m| (m, None)).collect();
    modules.extend(modules::ALWAYS.iter().filter_map(|n| Some((modules::create(n)?, None))));
    // Where a name stands among `modules`.
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, (m, _)) in modules.iter().enumerate() {
        places.insert(m.name(), i);
    }
    for (i, row) in config.modules.iter().enumerate() {
        if let Some(at) = places.get(row.name.as_str()) {
            if let Some(slot) = modules.get_mut(*at) {
                slot.1.get_or_insert(i);
            }
            continue;
        }
        match modules::create(&row.name) {
            Some(module) => {
                places.insert(&row.name, modules.len());
                modules.push((module, Some(i)));
            }
            None => found.push(unknown_module(config, row)),
        }
    }
    for p in &config.modparams {
        for name in &p.modules {
            // An unknown module was named above.
            let Some((module, _)) = places.get(name.as_str()).and_then(|at| modules.get_mut(*at)) else {
                continue;
            };
            set_param(config, p, module.as_mut(), found);
        }
    }
    Loaded { modules }
}

impl Loaded {
    /// Sets the modules up, in order, each seeing those before it.
    pub fn set_up(
        self,
        config: &Config,
        core: &CoreConfig,
        listeners: &[Listener],
        now: Now,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Arc<dyn Module>> {
        let mut done: Vec<Arc<dyn Module>> = Vec::with_capacity(self.modules.len());
        for (mut module, row) in self.modules {
            let setup = Setup { config: core, listeners, modules: &done, now };
            if let Err(e) = module.setup(&setup) {
                let message = format!("module {}: {e}", module.name());
                found.push(match row.and_then(|i| config.modules.get(i)) {
                    Some(row) => config.diagnostic(Severity::Error, row.span, message),
                    None => Diagnostic::about_file(Severity::Error, config.path(), message),
                });
            }
            done.push(Arc::from(module));
        }
        done
    }
}

fn unknown_module(config: &Config, row: &LoadModule) -> Diagnostic {
    let name = &row.name;
    if modules::accepted::known_elsewhere(name) {
        return config
            .diagnostic(
                Severity::Error,
                row.span,
                format!("Kamailio's module {name} is not available here yet"),
            )
            .with_hint("delete this line, and the calls the script makes to it, to start without it");
    }
    let d = config.diagnostic(Severity::Error, row.span, format!("unknown module '{name}'"));
    match suggest(name, modules::names().chain(modules::accepted::kamailios())) {
        Some(near) => d.with_hint(format!("did you mean '{near}'?")),
        None => d,
    }
}

fn set_param(config: &Config, p: &cfg::ModParam, module: &mut dyn Module, found: &mut Vec<Diagnostic>) {
    let name = module.name();
    let Some(row) = module.params().iter().find(|row| row.name == p.name) else {
        let message = format!("module {name} has no parameter '{}'", p.name);
        let d = config.diagnostic(Severity::Error, p.name_span, message);
        found.push(match suggest(&p.name, module.params().iter().map(|row| row.name)) {
            Some(near) => d.with_hint(format!("did you mean '{near}'?")),
            None => d,
        });
        return;
    };
    let value = match &p.value {
        Value::Int(i) => ParamValue::Int(*i),
        Value::Str(s) | Value::Ident(s) => ParamValue::Str(s.clone()),
        Value::List(_) => return,
    };
    let fits = match (row.kind, &value) {
        (ParamType::Any, _) | (ParamType::Int, ParamValue::Int(_)) | (ParamType::Str, ParamValue::Str(_)) => {
            true
        }
        (ParamType::Int, ParamValue::Str(_)) | (ParamType::Str, ParamValue::Int(_)) => false,
    };
    if !fits {
        let (takes, hint) = match (&value, row.kind) {
            (ParamValue::Int(i), _) => ("a string", format!("write \"{i}\"")),
            (ParamValue::Str(s), _) if s.parse::<i64>().is_ok() => ("a number", format!("write {s}")),
            _ => ("a number", "a number stands without quotes".to_owned()),
        };
        let message =
            format!("parameter '{}' of module {name} takes {takes}, not {}", p.name, value.describe());
        found.push(config.diagnostic(Severity::Error, p.value_span, message).with_hint(hint));
        return;
    }
    if let Err(e) = module.set_param(&p.name, value) {
        let message = format!("module {name}, parameter '{}': {e}", p.name);
        found.push(config.diagnostic(Severity::Error, p.value_span, message));
    }
}
