//! Record-Route: what a script asks for, kept in the context until each branch knows its socket ([`script::RecordRoute`]).

use message::Scheme;
use script::record_route::{Double, Place};
use script::{Outcome, RecordRoute, RouteContext};

use super::{Rr, direction};

/// Parameters given before there is a Record-Route to put them into.
#[derive(Default)]
struct Early(Vec<u8>);

impl Rr {
    pub(super) fn record(&self, ctx: &mut RouteContext<'_>, params: &[u8]) -> Outcome {
        let double = match self.settings.enable_double_rr {
            0 => Double::Never,
            1 => Double::WhenSocketsDiffer,
            _ => Double::Always,
        };
        let mut fixed = Vec::with_capacity(32);
        self.lr(&mut fixed);
        self.ftag(ctx, &mut fixed);
        if self.settings.sockname_mode
            && let Some(name) =
                ctx.core.listeners.get(usize::from(ctx.inbound.socket.0)).and_then(|l| l.name.as_ref())
        {
            fixed.extend_from_slice(b";sn=");
            fixed.extend_from_slice(name.as_bytes());
        }
        self.add(ctx, Place::Sockets, fixed, double, params)
    }

    pub(super) fn preset(&self, ctx: &mut RouteContext<'_>, first: &[u8], second: Option<&[u8]>) -> Outcome {
        let mut fixed = Vec::with_capacity(32);
        self.ftag(ctx, &mut fixed);
        self.lr(&mut fixed);
        let second = second.filter(|s| !s.is_empty()).map(<[u8]>::to_vec);
        self.add(ctx, Place::Preset(first.to_vec(), second), fixed, Double::Never, b"")
    }

    pub(super) fn advertised(&self, ctx: &mut RouteContext<'_>, address: &[u8]) -> Outcome {
        let mut fixed = Vec::with_capacity(32);
        self.ftag(ctx, &mut fixed);
        self.lr(&mut fixed);
        let double = match self.settings.enable_double_rr {
            0 => Double::Never,
            _ => Double::WhenSocketsDiffer,
        };
        self.add(ctx, Place::Advertised(address.to_vec()), fixed, double, b"")
    }

    fn add(
        &self,
        ctx: &mut RouteContext<'_>,
        place: Place,
        fixed: Vec<u8>,
        double: Double,
        params: &[u8],
    ) -> Outcome {
        if ctx.record_route.is_some() {
            tracing::error!(call_id = %String::from_utf8_lossy(ctx.message.call_id()),
                "record_route called twice for one message: the first one stays");
            return Outcome::FALSE;
        }
        let prefix = self.prefix(ctx);
        let mut all = params.to_vec();
        all.append(&mut ctx.slots.slot::<Early>().0);
        ctx.record_route = Some(RecordRoute { prefix, place, fixed, params: all, double });
        Outcome::TRUE
    }

    /// `sip:` or, RFC 3261 §16.6 step 4: "If the Request-URI contains a SIPS URI, or the topmost Route header field value [..] contains a
    /// SIPS URI, the URI placed into the Record-Route header field MUST be a SIPS URI."
    fn prefix(&self, ctx: &RouteContext<'_>) -> Vec<u8> {
        let uri = message::Uri::parse(ctx.request_uri()).ok();
        let sips = !self.settings.ignore_sips && uri.is_some_and(|u| u.scheme == Scheme::Sips);
        let mut prefix = if sips { b"sips:".to_vec() } else { b"sip:".to_vec() };
        if self.settings.add_username {
            let custom = self.custom_user(ctx);
            if let Some(user) = custom.as_deref().or(uri.and_then(|u| u.user)).filter(|u| !u.is_empty()) {
                prefix.extend_from_slice(user);
                prefix.push(b'@');
            }
        }
        prefix
    }

    fn custom_user(&self, ctx: &RouteContext<'_>) -> Option<Vec<u8>> {
        let name = self.settings.custom_user_avp.as_ref()?;
        let pv = ctx.core.registry.parse_pv(name.as_bytes()).ok()?;
        let value = pv.get(ctx);
        (!value.is_null()).then(|| value.to_text().into_owned())
    }

    fn lr(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.settings.enable_full_lr { b";lr=on" } else { b";lr" });
    }

    /// The tag of the caller, also when it is the callee who asks.
    fn ftag(&self, ctx: &RouteContext<'_>, out: &mut Vec<u8>) {
        if !self.settings.append_fromtag {
            return;
        }
        if let Some(tag) = direction::caller_tag(ctx).filter(|t| !t.is_empty()) {
            out.extend_from_slice(b";ftag=");
            out.extend_from_slice(tag);
        }
    }
}

pub(crate) fn add_param(ctx: &mut RouteContext<'_>, param: &[u8]) {
    match &mut ctx.record_route {
        Some(rr) => rr.params.extend_from_slice(param),
        None => ctx.slots.slot::<Early>().0.extend_from_slice(param),
    }
}
