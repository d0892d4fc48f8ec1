//! Module `registrar`: REGISTER into the location table, and from there to destination sets (RFC 3261 §10, §16.5; RFC 3327 Path,
//! RFC 5626 outbound, RFC 5627 GRUU).
//!
//! The tables are module [`usrloc`](crate::usrloc)'s. `request.rs` reads a REGISTER, `save.rs` binds its contacts, `reply.rs` writes the
//! answer, `lookup.rs` makes destination sets.

mod aor;
mod events;
mod lookup;
mod registered;
mod reply;
mod request;
mod runtime;
mod save;
mod settings;
#[cfg(test)]
mod tests;
mod ulc;
mod xavp;

use std::sync::{Arc, OnceLock};

use script::{
    Core, ModParam, Module, Outcome, ParamValue, PseudoVariable, Pv, RouteContext, Services, Setup,
    SetupError, Statistic, Statistics, Value, ksr_module,
};
use transaction::Now;

use crate::usrloc::{Domains, Usrloc, socket_text};
use lookup::Into;
use reply::Prepared;
use save::SaveOptions;
pub use settings::Settings;

/// Flags of `save()`.
pub mod save_flags {
    /// Not into the database.
    pub const MEMORY_ONLY: i64 = 0x01;
    /// No reply.
    pub const NO_REPLY: i64 = 0x02;
    /// One contact per address-of-record.
    pub const ONE_CONTACT: i64 = 0x04;
    /// `expires_range` and `default_expires_range` do not apply.
    pub const NO_RANGE: i64 = 0x08;
    /// With [`NO_REPLY`]: the headers are there for the script's own reply.
    pub const HEADERS: i64 = 0x10;
}

/// Module `registrar`.
#[derive(Debug, Default)]
pub struct Registrar {
    settings: Settings,
    domains: Arc<Domains>,
    counters: OnceLock<Counters>,
    /// `received_avp`, parsed.
    received: OnceLock<Option<Pv>>,
}

#[derive(Debug)]
struct Counters {
    accepted: Statistic,
    rejected: Statistic,
}

impl Registrar {
    /// The parameters.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn counters(&self, statistics: &Statistics) -> &Counters {
        self.counters.get_or_init(|| {
            let add = |name: &str, doc: &str| statistics.register("registrar", name, doc);
            let settings = &self.settings;
            for (name, value) in [
                ("max_expires", settings.max_expires),
                ("max_contacts", settings.max_contacts),
                ("default_expire", settings.default_expires),
                ("default_expires_range", settings.default_expires_range),
                ("expires_range", settings.expires_range),
            ] {
                statistics.level("registrar", name, "The parameter's value.").set(i64::from(value));
            }
            Counters {
                accepted: add("accepted_regs", "REGISTER requests answered with 200."),
                rejected: add("rejected_regs", "REGISTER requests refused."),
            }
        })
    }

    fn received_pv(&self, core: &Core) -> Option<&Pv> {
        let name = self.settings.received_avp.as_deref()?;
        let parse = || {
            let parsed = core.registry.parse_pv(name.as_bytes());
            if let Err(why) = &parsed {
                tracing::error!(target: "registrar", "received_avp: {why}");
            }
            parsed.ok()
        };
        self.received.get_or_init(parse).as_ref()
    }
}

#[ksr_module("registrar")]
impl Registrar {
    /// Binds the contacts of a REGISTER to its To address in a location table, removes or lists them (RFC 3261 §10.3), and answers it.
    ///
    /// All contacts are bound or none. Flags: 1 not into the database; 2 no reply, see `reg_send_reply`; 4 one contact per user: the
    /// others go; 8 without `expires_range`; 16 with 2: the reply headers are added to the script's own reply.
    ///
    /// Returns 1 when contacts were added (or it was a retransmission), 2 updated, 3 removed, 4 only listed; -1 when the request was
    /// refused, -2 when there would be more than `max_contacts`.
    #[ksr(cfg = ["save"], routes(REQUEST, FAILURE, REPLY))]
    fn save(&self, ctx: &mut RouteContext<'_>, table: &[u8], flags: i64) -> Outcome {
        Outcome(self.save_as(ctx, table, flags, b""))
    }

    /// As `save`, for the given URI in place of the To URI; empty: the To URI.
    #[ksr(cfg = ["save"], routes(REQUEST, FAILURE, REPLY))]
    fn save_uri(&self, ctx: &mut RouteContext<'_>, table: &[u8], flags: i64, uri: &[u8]) -> Outcome {
        Outcome(self.save_as(ctx, table, flags, uri))
    }

    /// Replaces the Request-URI by the best contact of its user; the others become branches, by q.
    ///
    /// Sets with it the next hop (Path or where the REGISTER came from), socket, branch flags and q. Returns 1 when there is a contact,
    /// -1 none, -2 none that supports the method (`method_filtering`), -3 for a Request-URI that names no user.
    #[ksr(cfg = ["lookup"], routes(REQUEST, FAILURE))]
    fn lookup(&self, ctx: &mut RouteContext<'_>, table: &[u8]) -> Outcome {
        Outcome(self.lookup_as(ctx, table, None, Into::Target))
    }

    /// As `lookup`, for the given URI in place of the Request-URI.
    #[ksr(cfg = ["lookup"], routes(REQUEST, FAILURE))]
    fn lookup_uri(&self, ctx: &mut RouteContext<'_>, table: &[u8], uri: &[u8]) -> Outcome {
        Outcome(self.lookup_as(ctx, table, Some(uri), Into::Target))
    }

    /// Adds all contacts of a URI as branches; the Request-URI stays. Returns as `lookup`.
    #[ksr(cfg = ["lookup_to_dset"], routes(REQUEST, FAILURE))]
    fn lookup_to_dset(&self, ctx: &mut RouteContext<'_>, table: &[u8], uri: &[u8]) -> Outcome {
        Outcome(self.lookup_as(ctx, table, Some(uri), Into::Branches))
    }

    /// As `lookup` for the Request-URI and for every branch that has only a URI so far.
    #[ksr(cfg = ["lookup_branches"], routes(REQUEST, FAILURE))]
    fn lookup_branches(&self, ctx: &mut RouteContext<'_>, table: &[u8]) -> Outcome {
        Outcome(self.lookup_all(ctx, table))
    }

    /// Writes the record of a URI to one XAVP (aor, domain, aorhash, count) and each of its contacts to another (ruid, addr, expires, q,
    /// received, path and more); the destination set stays. Returns 1, or -1 when there is no contact.
    #[ksr(cfg = ["lookup_xavp"])]
    fn lookup_xavp(
        &self,
        ctx: &mut RouteContext<'_>,
        table: &[u8],
        uri: &[u8],
        record_xavp: &[u8],
        contacts_xavp: &[u8],
    ) -> Outcome {
        Outcome(self.lookup_into_xavps(ctx, table, uri, record_xavp, contacts_xavp))
    }

    /// Whether the user of the Request-URI (of To, in replies) has a contact: 1, or -1.
    #[ksr(cfg = ["registered"])]
    fn registered(&self, ctx: &mut RouteContext<'_>, table: &[u8]) -> Outcome {
        Outcome(self.is_registered(ctx, table, b"", 0, 0))
    }

    /// Whether the user of a URI has a contact: 1, or -1. An empty URI is the Request-URI.
    #[ksr(cfg = ["registered"])]
    fn registered_uri(&self, ctx: &mut RouteContext<'_>, table: &[u8], uri: &[u8]) -> Outcome {
        Outcome(self.is_registered(ctx, table, uri, 0, 0))
    }

    /// As `registered_uri`, for contacts with the values in `xavp_cfg`: 1 `match_callid`, 2 `match_received`, 4 `match_contact`.
    #[ksr(cfg = ["registered"])]
    fn registered_flags(
        &self,
        ctx: &mut RouteContext<'_>,
        table: &[u8],
        uri: &[u8],
        match_option: i64,
    ) -> Outcome {
        Outcome(self.is_registered(ctx, table, uri, match_option, 0))
    }

    /// As `registered_flags`; actions: 1 restore the contact's XAVP (`xavp_contact`), 2 do not write `xavp_rcd`.
    #[ksr(cfg = ["registered"])]
    fn registered_action(
        &self,
        ctx: &mut RouteContext<'_>,
        table: &[u8],
        uri: &[u8],
        match_option: i64,
        match_action: i64,
    ) -> Outcome {
        Outcome(self.is_registered(ctx, table, uri, match_option, match_action))
    }

    /// q (`0.0` to `1.0`) for the contacts of the next `save` of this message, whatever they say. Returns -1 for no such value.
    #[ksr(routes(REQUEST, FAILURE))]
    fn set_q_override(&self, ctx: &mut RouteContext<'_>, q: &[u8]) -> Outcome {
        let Some(q) = request::parse_q(q) else { return Outcome::FALSE };
        ctx.slots.slot::<SaveOptions>().q = Some(q);
        Outcome::TRUE
    }

    /// Adds a header with the socket the request came in on, `udp:192.0.2.1:5060`, for a registrar behind this server.
    #[ksr(cfg = ["add_sock_hdr"], routes(REQUEST))]
    fn add_sock_hdr(&self, ctx: &mut RouteContext<'_>, header: &[u8]) -> Outcome {
        let Some(listener) = ctx.core.listeners.get(usize::from(ctx.inbound.socket.0)) else {
            return Outcome::FALSE;
        };
        if header.is_empty() || !message::grammar::is_token(header) {
            return Outcome::FALSE;
        }
        let mut value = Vec::new();
        socket_text(listener, &mut value);
        let mut row = Vec::new();
        reply::write_row(header, &value, &mut row);
        let end = ctx.message.headers_end();
        ctx.edits.insert(end, &row);
        Outcome::TRUE
    }

    /// Removes all contacts of a URI's user. Returns 1, or -1 when the URI names no user or there is no such table.
    #[ksr(cfg = ["unregister"])]
    fn unregister(&self, ctx: &mut RouteContext<'_>, table: &[u8], uri: &[u8]) -> Outcome {
        Outcome(self.remove(ctx, table, uri, None))
    }

    /// Removes the contact with a record id. Returns as `unregister`, -3 when there is no such contact.
    #[ksr(cfg = ["unregister"])]
    fn unregister_ruid(&self, ctx: &mut RouteContext<'_>, table: &[u8], uri: &[u8], ruid: &[u8]) -> Outcome {
        Outcome(self.remove(ctx, table, uri, Some(ruid)))
    }

    /// Fetches the contacts of a URI's user for `$ulc(profile=>attr)`. Returns 1, or -1 when there are none.
    #[ksr(cfg = ["reg_fetch_contacts"])]
    fn reg_fetch_contacts(
        &self,
        ctx: &mut RouteContext<'_>,
        table: &[u8],
        uri: &[u8],
        profile: &[u8],
    ) -> Outcome {
        Outcome(self.fetch(ctx, table, uri, profile))
    }

    /// Forgets what `reg_fetch_contacts` fetched.
    #[ksr(cfg = ["reg_free_contacts"])]
    fn reg_free_contacts(&self, ctx: &mut RouteContext<'_>, profile: &[u8]) -> Outcome {
        Outcome(Registrar::forget(ctx, profile))
    }

    /// Whether the message comes from the address of a contact of a URI's user (`received`, else the contact itself): 1, or -1.
    ///
    /// Flags: 1 any port, 2 any transport.
    #[ksr(cfg = ["reg_from_user"])]
    fn reg_from_user(&self, ctx: &mut RouteContext<'_>, table: &[u8], uri: &[u8], flags: i64) -> Outcome {
        Outcome(self.is_from_user(ctx, table, uri, flags))
    }

    /// Sends the reply that `save` with flag 2 held back. Returns -1 when there is none.
    #[ksr(cfg = ["reg_send_reply"], routes(REQUEST, FAILURE))]
    fn reg_send_reply(&self, ctx: &mut RouteContext<'_>) -> Outcome {
        let Some(Prepared { code, reason, rows }) = ctx.slots.slot::<Option<Prepared>>().take() else {
            return Outcome::FALSE;
        };
        Outcome(Registrar::send(ctx, code, reason, &rows))
    }

    /// An attribute of the fetched record: aor, domain, aorhash, count. Null when there is none.
    #[ksr]
    fn ulc_rget<'c>(&self, ctx: &'c mut RouteContext<'_>, profile: &[u8], attr: &[u8]) -> Value<'c> {
        Registrar::record_attribute(ctx, profile, attr)
    }

    /// An attribute of the fetched contact at a place, see `$ulc`. Null when there is none.
    #[ksr]
    fn ulc_cget<'c>(
        &self,
        ctx: &'c mut RouteContext<'_>,
        profile: &[u8],
        attr: &[u8],
        index: i64,
    ) -> Value<'c> {
        Registrar::contact_attribute(ctx, profile, attr, index)
    }
}

impl Module for Registrar {
    fn name(&self) -> &'static str {
        "registrar"
    }
    fn functions(&self) -> &'static [script::Function] {
        Self::FUNCTIONS
    }
    fn pseudo_variables(&self) -> &'static [PseudoVariable] {
        const ROWS: &[PseudoVariable] = &[ulc::ULC];
        ROWS
    }
    fn runtime_params(&self) -> &'static [script::RuntimeParam] {
        runtime::PARAMS
    }
    fn params(&self) -> &'static [ModParam] {
        Settings::PARAMS
    }
    fn set_param(&mut self, name: &str, value: ParamValue) -> Result<(), SetupError> {
        self.settings.set(name, value)
    }
    fn setup(&mut self, setup: &Setup<'_>) -> Result<(), SetupError> {
        self.settings.check()?;
        let usrloc = setup
            .module::<Usrloc>()
            .ok_or_else(|| SetupError("registrar needs module usrloc: load it before registrar".into()))?;
        self.domains = usrloc.domains().clone();
        if self.settings.event_callback.is_some() {
            self.domains.watch();
        }
        Ok(())
    }
    /// As `db_mode` of the tables has it: in memory nothing waits.
    fn waits(&self, function: &script::Function) -> bool {
        match function.name {
            "save" | "save_uri" | "unregister" | "unregister_ruid" => self.domains.saves_wait(),
            name if name.starts_with("lookup") || name.starts_with("registered") => {
                self.domains.lookups_wait()
            }
            "reg_fetch_contacts" | "reg_from_user" => self.domains.lookups_wait(),
            _ => false,
        }
    }
    fn events(&self, services: &Services<'_>, now: Now) {
        events::run(self, services, now);
    }
    fn tick(&self, core: &Core, _: Now) {
        self.counters(&core.statistics);
    }
}
