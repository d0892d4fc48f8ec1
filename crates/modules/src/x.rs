//! `KSR.x`: what scripting languages need beside the modules: functions of the native language by name, and ends of a route.

use script::{
    Arg, Function, Module, Outcome, ParamKind, Pv, Returns, RouteContext, Unwind, Value, ksr_module,
};

/// Module `x`, part of every engine.
#[derive(Debug, Default)]
pub struct X {}

impl Module for X {
    fn name(&self) -> &'static str {
        "x"
    }
    fn functions(&self) -> &'static [Function] {
        Self::FUNCTIONS
    }
}

#[ksr_module("x")]
impl X {
    /// Calls a function of the native route language by its name there: `KSR.x.modf("append_hf", "X-A: b\r\n")`. Arguments are texts or
    /// numbers, as in the native language. Returns its result, -1 when there is no such function or it refuses the arguments.
    #[ksr(no_message)]
    fn modf(&self, ctx: &mut RouteContext<'_>, function: &[u8], arguments: &[Arg<'_>]) -> Outcome {
        match call(ctx, function, arguments) {
            Ok(result) => Outcome(result),
            Err(reason) => {
                let function = String::from_utf8_lossy(function);
                let call_id = String::from_utf8_lossy(ctx.message.call_id());
                tracing::error!(target: "script", %call_id, "KSR.x.modf({function}): {reason}");
                Outcome::FALSE
            }
        }
    }
    /// Ends the route, as `sys.exit()` does. Raises `KSR.x.Exit`, which passes through `except Exception`.
    #[ksr(no_message)]
    fn exit(&self, ctx: &mut RouteContext<'_>) {
        ctx.unwind = Some(Unwind::Exit);
    }
    /// Ends the route and drops the message: a reply is not forwarded, a branch is not sent. Raises `KSR.x.Drop`, which passes through
    /// `except Exception`.
    #[ksr(no_message)]
    fn drop(&self, ctx: &mut RouteContext<'_>) {
        ctx.dropped = true;
        ctx.unwind = Some(Unwind::Drop);
    }
}

/// Finds the function of that name and number of parameters and calls it with the arguments as it declares them.
fn call(ctx: &mut RouteContext<'_>, name: &[u8], arguments: &[Arg<'_>]) -> Result<i64, String> {
    let name = std::str::from_utf8(name).map_err(|_| "the name is not UTF-8".to_string())?;
    let registry = &ctx.core.registry;
    let fits = |f: &Function| f.params.len() == arguments.len();
    let (module, row) = registry
        .cfg_function(name)
        .find(|(_, f)| fits(f))
        .or_else(|| registry.function("", name).filter(|(_, f)| fits(f)))
        .ok_or_else(|| format!("there is no such function with {} parameters", arguments.len()))?;
    if !row.routes.contains(ctx.kind) {
        return Err(format!("{} is not allowed in this route", row.path()));
    }
    let mut pvs: Vec<Pv> = Vec::new();
    let mut formats = Vec::new();
    let mut texts = Vec::new();
    for (param, argument) in row.params.iter().zip(arguments) {
        let text: Vec<u8> = match argument {
            Arg::Str(s) => s.to_vec(),
            Arg::Int(i) => i.to_string().into_bytes(),
            Arg::Pv(_) | Arg::Format(_) => return Err("arguments are texts or numbers".into()),
        };
        match param.kind {
            ParamKind::Pv => pvs.push(registry.parse_pv(&text)?),
            ParamKind::Format => formats.push(registry.parse_format(&text)?),
            // The native language replaces pseudo-variables in texts.
            ParamKind::Str | ParamKind::Int if text.contains(&b'$') => {
                let mut out = Vec::new();
                registry.parse_format(&text)?.write(ctx, &mut out);
                texts.push(out);
                continue;
            }
            _ => {}
        }
        texts.push(text);
    }
    let (mut pvs, mut formats) = (pvs.iter(), formats.iter());
    let mut list = Vec::with_capacity(texts.len());
    for (param, text) in row.params.iter().zip(&texts) {
        list.push(match param.kind {
            ParamKind::Int => {
                let number = std::str::from_utf8(text).ok().and_then(|t| t.trim().parse().ok());
                Arg::Int(number.ok_or_else(|| format!("{} is no number", String::from_utf8_lossy(text)))?)
            }
            ParamKind::Str | ParamKind::Rest => Arg::Str(text),
            ParamKind::Pv => match pvs.next() {
                Some(pv) => Arg::Pv(pv),
                None => return Err("a pseudo-variable is missing".into()),
            },
            ParamKind::Format => match formats.next() {
                Some(format) => Arg::Format(format),
                None => return Err("a text is missing".into()),
            },
        });
    }
    let value = (row.call)(module.as_ref(), ctx, &list);
    Ok(match (row.returns, value) {
        (Returns::None, _) => 1,
        (_, Value::Int(i)) => i,
        (_, Value::Bool(b)) => Outcome::from(b).0,
        (_, Value::Null) => -1,
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use script::testing::Bench;

    use super::*;
    use crate::core::CoreFunctions;
    use crate::pv::PvModule;

    const OPTIONS: &str = "OPTIONS sip:bob@h SIP/2.0\nCall-ID: x\nCSeq: 1 OPTIONS\n";

    #[test]
    fn functions_of_the_native_language_are_called_by_name() {
        let bench = Bench::new(vec![
            Arc::new(X::default()),
            Arc::new(CoreFunctions::default()),
            Arc::new(PvModule::default()),
        ]);
        let mut ctx = bench.request(OPTIONS);
        assert_eq!(bench.call(&mut ctx, "x.modf", &["setflag".into(), "3".into()]), Value::Int(1));
        assert_eq!(ctx.flags, 8);
        assert_eq!(bench.call(&mut ctx, "x.modf", &["isflagset".into(), 4.into()]), Value::Int(-1));
        assert_eq!(bench.call(&mut ctx, "x.modf", &["setuser".into(), "a-$rU".into()]), Value::Int(1));
        assert_eq!(ctx.request_uri(), b"sip:a-bob@h");
        assert_eq!(bench.call(&mut ctx, "x.modf", &["nope".into()]), Value::Int(-1));
        assert_eq!(bench.call(&mut ctx, "x.modf", &["setflag".into()]), Value::Int(-1));
        assert_eq!(bench.call(&mut ctx, "x.modf", &["setflag".into(), "x".into()]), Value::Int(-1));
        assert_eq!(
            bench.call(&mut ctx, "x.modf", &["pv_evalx".into(), "$var(a)".into(), "<$rU>".into()]),
            Value::Int(1)
        );
        assert_eq!(bench.pv(&ctx, "$var(a)"), Value::from("<a-bob>"));
    }

    #[test]
    fn exit_and_drop_end_the_route() {
        let bench = Bench::new(vec![Arc::new(X::default())]);
        let mut ctx = bench.request(OPTIONS);
        bench.call(&mut ctx, "x.exit", &[]);
        assert_eq!((ctx.unwind, ctx.dropped), (Some(Unwind::Exit), false));
        bench.call(&mut ctx, "x.drop", &[]);
        assert_eq!((ctx.unwind, ctx.dropped), (Some(Unwind::Drop), true));
    }
}
