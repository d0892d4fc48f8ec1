//! `registered()`, `unregister()`, `reg_from_user()`: questions and orders about an address-of-record.

use message::{Transport, Uri};
use script::RouteContext;
use script::vars::VarValue;

use super::Registrar;
use super::xavp::add_xavps;
use crate::usrloc::{Contact, SaveError, unix};

/// `match_option` of `registered`.
mod matching {
    pub const CALL_ID: i64 = 1;
    pub const RECEIVED: i64 = 2;
    pub const CONTACT: i64 = 4;
}

/// `match_action` of `registered`.
mod action {
    pub const RESTORE_XAVPS: i64 = 1;
    pub const NO_RCD: i64 = 2;
}

impl Registrar {
    /// `registered(table, uri, match_option, match_action)`; an empty `uri` is the Request-URI, in a reply the To URI.
    pub(super) fn is_registered(
        &self,
        ctx: &mut RouteContext<'_>,
        table: &[u8],
        uri: &[u8],
        option: i64,
        act: i64,
    ) -> i64 {
        let uri = match uri {
            [] if ctx.message.is_request() => ctx.request_uri().to_vec(),
            [] => ctx.message.to().map_or(Vec::new(), |to| to.uri.to_vec()),
            given => given.to_vec(),
        };
        let Some((domain, aor)) = self.named(ctx, table, &uri) else { return -1 };
        let now = unix(ctx.now);
        let wanted =
            |bit: i64, name: &str| (option & bit != 0).then(|| self.config_text(ctx, name)).flatten();
        let call_id = wanted(matching::CALL_ID, "match_callid");
        let received = wanted(matching::RECEIVED, "match_received");
        let address = wanted(matching::CONTACT, "match_contact");
        let fits = |c: &&Contact| {
            call_id.as_deref().is_none_or(|w| w == c.call_id())
                && received.as_deref().is_none_or(|w| w == c.received())
                && address.as_deref().is_none_or(|w| w == c.uri())
        };
        let matched = domain.read(&aor, |record| {
            let contact = record?.valid(now).find(fits)?;
            let attributes = (act & action::RESTORE_XAVPS != 0).then(|| contact.attributes().to_vec());
            Some((self.found(contact, &domain.rules().ruid, now), attributes))
        });
        let Some((found, attributes)) = matched else { return -1 };
        if act & action::NO_RCD == 0 {
            self.tell(ctx, found.into_iter().collect());
        }
        let class = self.domains.xavp_contact().map(<[u8]>::to_vec);
        if let (Some(class), Some(fields)) = (class, attributes.filter(|a| !a.is_empty())) {
            add_xavps(ctx, &class, vec![VarValue::Xavp(fields)]);
        }
        1
    }

    /// `unregister(table, uri)` and, with a record id, `unregister(table, uri, ruid)`.
    pub(super) fn remove(
        &self,
        ctx: &RouteContext<'_>,
        table: &[u8],
        uri: &[u8],
        ruid: Option<&[u8]>,
    ) -> i64 {
        let Some((domain, aor)) = self.named(ctx, table, uri) else { return -1 };
        let removed = domain.save(&aor, |entry| {
            let Some(ruid) = ruid else {
                entry.record().clear();
                return Ok(());
            };
            let at = entry.contacts().iter().position(|c| c.has_ruid(ruid, &domain.rules().ruid));
            at.and_then(|at| entry.record().remove(at)).map(drop).ok_or(())
        });
        match removed {
            Ok(()) => 1,
            Err(SaveError::Refused(())) => -3,
            Err(SaveError::Database(_)) => -1,
        }
    }

    /// `reg_from_user(table, uri, flags)`: whether the message comes from where a contact of that user is.
    pub(super) fn is_from_user(&self, ctx: &RouteContext<'_>, table: &[u8], uri: &[u8], flags: i64) -> i64 {
        const ANY_PORT: i64 = 1;
        const ANY_TRANSPORT: i64 = 2;
        let Some((domain, aor)) = self.named(ctx, table, uri) else { return -1 };
        let source = ctx.inbound.source;
        let fits = |c: &Contact| {
            let address = if c.received().is_empty() { c.uri() } else { c.received() };
            Uri::parse(address).is_ok_and(|u| {
                u.ip() == Some(source.ip())
                    && (flags & ANY_PORT != 0 || u.port_or_default() == source.port())
                    && (flags & ANY_TRANSPORT != 0
                        || u.transport().unwrap_or(Transport::Udp) == ctx.inbound.transport)
            })
        };
        let now = unix(ctx.now);
        if domain.read(&aor, |r| r.is_some_and(|r| r.valid(now).any(fits))) { 1 } else { -1 }
    }
}
