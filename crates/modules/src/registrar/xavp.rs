//! Settings a script gives for one message in `xavp_cfg`, and what was found in `xavp_rcd`.

use script::RouteContext;
use script::vars::VarValue;

use super::Registrar;
use crate::usrloc::{Contact, RuidFormat};

/// A field of an XAVP to be made.
pub(super) fn field(name: &str, value: VarValue) -> (Box<[u8]>, VarValue) {
    (name.as_bytes().into(), value)
}
pub(super) fn text(value: &[u8]) -> VarValue {
    VarValue::Str(value.into())
}
pub(super) fn int(value: impl Into<i64>) -> VarValue {
    VarValue::Int(value.into())
}

impl Registrar {
    /// `$xavp(<xavp_cfg>=>name)`.
    pub(super) fn config(&self, ctx: &RouteContext<'_>, name: &str) -> Option<VarValue> {
        let class = self.settings.xavp_cfg.as_deref()?.as_bytes();
        ctx.vars.as_ref()?.with(|lists| {
            let (_, value) = lists.xavps.iter().find(|(n, _)| n.as_ref() == class)?;
            let VarValue::Xavp(fields) = value else { return None };
            fields.iter().find(|(n, _)| n.as_ref() == name.as_bytes()).map(|(_, v)| v.clone())
        })
    }
    /// As a number that is not negative.
    pub(super) fn config_number(&self, ctx: &RouteContext<'_>, name: &str) -> Option<u32> {
        match self.config(ctx, name)? {
            VarValue::Int(n) => u32::try_from(n).ok(),
            _ => None,
        }
    }
    /// As text.
    pub(super) fn config_text(&self, ctx: &RouteContext<'_>, name: &str) -> Option<Box<[u8]>> {
        match self.config(ctx, name)? {
            VarValue::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The fields of `xavp_rcd` for a contact; `None` when the parameter is not set.
    pub(super) fn found(&self, contact: &Contact, ruid: &RuidFormat, now: u32) -> Option<VarValue> {
        self.settings.xavp_rcd.as_ref()?;
        let wanted = |bit: i64| self.settings.xavp_rcd_mask & bit == 0;
        let mut fields = Vec::new();
        let mut add = |bit, name: &str, value| {
            if wanted(bit) {
                fields.push(field(name, value));
            }
        };
        add(1, "ruid", text(&contact.ruid_text(ruid)));
        add(2, "contact", text(contact.uri()));
        add(4, "expires", int(contact.deadline().saturating_sub(now)));
        if !contact.received().is_empty() {
            add(8, "received", text(contact.received()));
        }
        if !contact.path().is_empty() {
            add(16, "path", text(contact.path()));
        }
        Some(VarValue::Xavp(fields))
    }
    /// Puts what was found into `xavp_rcd`, behind what is there.
    pub(super) fn tell(&self, ctx: &mut RouteContext<'_>, found: Vec<VarValue>) {
        let Some(class) = self.settings.xavp_rcd.as_deref().filter(|_| !found.is_empty()) else { return };
        add_xavps(ctx, class.as_bytes(), found);
    }
}

/// Adds XAVPs of one name; they come before what is there, in their order.
pub(super) fn add_xavps(ctx: &mut RouteContext<'_>, name: &[u8], values: Vec<VarValue>) {
    ctx.vars().with(|lists| {
        lists.xavps.splice(0..0, values.into_iter().map(|v| (Box::from(name), v)));
    });
}
