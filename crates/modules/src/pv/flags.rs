//! `$mf $bf $sf $Mf(n) ..`: message, branch and script flags.

use script::{PseudoVariable, Pv, RouteContext, Value, pseudo_variables};

pub(super) const ROWS: &[PseudoVariable] = pseudo_variables! { "pv";
    "mf" None "Message flags as a number; writing null clears them." |ctx, _| number(ctx.flags), |ctx, _, v| set(&mut ctx.flags, &v);
    "mF" None "Message flags in hexadecimal." |ctx, _| hex(ctx.flags), |ctx, _, v| set(&mut ctx.flags, &v);
    "Mf" Text "`$Mf(n)`: 1 when message flag n is set." |ctx, pv| bit(ctx, pv, ctx.flags), |ctx, pv, v| set_bit(ctx, pv, &v, |c| &mut c.flags);
    "bf" None "Branch flags of the Request-URI as a number." |ctx, _| number(ctx.target.flags), |ctx, _, v| set(&mut ctx.target.flags, &v);
    "bF" None "Branch flags of the Request-URI in hexadecimal." |ctx, _| hex(ctx.target.flags), |ctx, _, v| set(&mut ctx.target.flags, &v);
    "Bf" Text "`$Bf(n)`: 1 when branch flag n is set." |ctx, pv| bit(ctx, pv, ctx.target.flags), |ctx, pv, v| set_bit(ctx, pv, &v, |c| &mut c.target.flags);
    "sf" None "Script flags as a number." |ctx, _| number(ctx.script_flags), |ctx, _, v| set(&mut ctx.script_flags, &v);
    "sF" None "Script flags in hexadecimal." |ctx, _| hex(ctx.script_flags), |ctx, _, v| set(&mut ctx.script_flags, &v);
    "Sf" Text "`$Sf(n)`: 1 when script flag n is set." |ctx, pv| bit(ctx, pv, ctx.script_flags), |ctx, pv, v| set_bit(ctx, pv, &v, |c| &mut c.script_flags);
};

fn number(flags: u32) -> Value<'static> {
    Value::Int(i64::from(flags))
}
fn hex(flags: u32) -> Value<'static> {
    Value::owned(format!("{flags:08x}"))
}

fn set(flags: &mut u32, value: &Value<'_>) -> bool {
    match value {
        Value::Null => *flags = 0,
        Value::Int(n) => *flags = *n as u32,
        _ => return false,
    }
    true
}

/// The mask of a flag's number; `None` outside 0..=31.
pub fn mask(number: i64) -> Option<u32> {
    u32::try_from(number).ok().filter(|n| *n < 32).map(|n| 1 << n)
}

fn mask_of(ctx: &RouteContext<'_>, pv: &Pv) -> Option<u32> {
    mask(std::str::from_utf8(&pv.inner_text(ctx)).ok()?.trim().parse().ok()?)
}
fn bit(ctx: &RouteContext<'_>, pv: &Pv, flags: u32) -> Value<'static> {
    mask_of(ctx, pv).map_or(Value::Null, |m| Value::Int(i64::from(flags & m != 0)))
}
fn set_bit(
    ctx: &mut RouteContext<'_>,
    pv: &Pv,
    value: &Value<'_>,
    flags: for<'a> fn(&'a mut RouteContext<'_>) -> &'a mut u32,
) -> bool {
    let Some(mask) = mask_of(ctx, pv) else { return false };
    let on = match value {
        Value::Null => false,
        Value::Int(n) => *n != 0,
        _ => return false,
    };
    let flags = flags(ctx);
    if on {
        *flags |= mask;
    } else {
        *flags &= !mask;
    }
    true
}
