//! The scenarios: each plays its user agents against a server and says what they received and which callbacks must have run.

mod addresses;
mod authentication;
mod calls;
mod dialogs;
mod forking;
mod nat;
mod registrations;
mod routing;
mod stage;

use std::time::Duration;

use testkit::proof::Times;

use crate::subject::{Kind, Setup, Subject, WITH_RELAY};

/// What a scenario saw.
pub struct Transcript {
    /// Normalised messages by user agent.
    pub received: Vec<(&'static str, Vec<String>)>,
    /// Callbacks that the scenario's messages demand, with their number of calls.
    pub callbacks: Vec<(&'static str, Times)>,
}

/// A scenario.
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// The server it needs.
    pub setup: Setup,
    play: fn(&Subject) -> Transcript,
}

impl Scenario {
    /// Starts the server it needs.
    pub fn start(&self, kind: Kind) -> Subject {
        Subject::start(kind, &self.setup)
    }
    /// Plays its user agents against that server.
    pub fn play(&self, subject: &Subject) -> Transcript {
        (self.play)(subject)
    }
}

const fn plain(name: &'static str, play: fn(&Subject) -> Transcript) -> Scenario {
    Scenario { name, setup: Setup::PLAIN, play }
}

const fn with(
    name: &'static str,
    defines: &'static [&'static str],
    play: fn(&Subject) -> Transcript,
) -> Scenario {
    Scenario { name, setup: Setup { defines, ..Setup::PLAIN }, play }
}

const fn on(
    name: &'static str,
    sockets: &'static [&'static str],
    play: fn(&Subject) -> Transcript,
) -> Scenario {
    Scenario { name, setup: Setup { sockets, ..Setup::PLAIN }, play }
}

/// All scenarios.
pub const ALL: &[Scenario] = &[
    plain("options", calls::options),
    plain("errors", calls::errors),
    plain("register", registrations::register),
    plain("register_star", registrations::register_star),
    plain("register_too_brief", registrations::register_too_brief),
    with("register_423", &["MIN_EXPIRES_MODE=1"], registrations::register_423),
    plain("register_limits", registrations::register_limits),
    plain("register_order", registrations::register_order),
    plain("register_cseq", registrations::register_cseq),
    with("register_max_contacts", &["MAX_CONTACTS=2"], registrations::register_max_contacts),
    plain("register_instance", registrations::register_instance),
    plain("register_path", registrations::register_path),
    plain("register_received", registrations::register_received),
    plain("register_flags", registrations::register_flags),
    plain("register_methods", registrations::register_methods),
    with("register_digest", &["WITH_AUTH"], authentication::register_digest),
    with("message_digest", &["WITH_AUTH"], authentication::message_digest),
    plain("call", calls::call),
    plain("cancel_while_ringing", calls::cancel_while_ringing),
    plain("cancel_before_provisional", calls::cancel_before_provisional),
    plain("cancel_crosses_200", calls::cancel_crosses_200),
    plain("busy", calls::busy),
    plain("redirected", calls::redirected),
    plain("unavailable", calls::unavailable),
    plain("busy_to_mailbox", forking::busy_to_mailbox),
    plain("no_answer", calls::no_answer),
    plain("nobody_there", calls::nobody_there),
    plain("parallel_fork", forking::parallel_fork),
    plain("decline_everywhere", forking::decline_everywhere),
    plain("serial_by_q", forking::serial_by_q),
    plain("serial_groups", forking::serial_groups),
    plain("serial_failures", forking::serial_failures),
    with("serial_failures_all", &["FAILURE_REPLY_MODE=0"], forking::serial_failures),
    plain("challenges", forking::challenges),
    plain("best_of_several", forking::best_of_several),
    plain("retransmissions", calls::retransmissions),
    plain("message_in_dialogless", calls::message_out_of_dialog),
    plain("message_of_60_kilobytes", calls::message_of_60_kilobytes),
    plain("headers", dialogs::headers),
    plain("reinvite", dialogs::reinvite),
    plain("late_200", dialogs::late_200),
    plain("final_again", dialogs::final_again),
    plain("answered_here", dialogs::answered_here),
    plain("early_answer", dialogs::early_answer),
    plain("failure_answered", dialogs::failure_answered),
    plain("failure_observed", dialogs::failure_observed),
    plain("reply_dropped", dialogs::reply_dropped),
    plain("appended_branch", dialogs::appended_branch),
    plain("cancel_two", dialogs::cancel_two),
    plain("cancel_of_nothing", dialogs::cancel_of_nothing),
    plain("non_invite_provisional", dialogs::non_invite_provisional),
    plain("two_2xx", dialogs::two_2xx),
    plain("from_the_callee", routing::from_the_callee),
    plain("strict_router_ahead", routing::strict_router_ahead),
    plain("strict_router_behind", routing::strict_router_behind),
    plain("spiral", routing::spiral),
    plain("stateless", routing::stateless),
    with("onsend_of_replies", &["ONSEND_ROUTE_REPLY=yes"], routing::onsend_of_replies),
    with("reply_with_another_via", &["CHECK_VIA=yes"], routing::reply_with_another_via),
    plain("where_replies_go", routing::where_replies_go),
    with("nat", &["WITH_NAT"], nat::nat),
    with("nat_busy", &["WITH_NAT"], nat::nat_busy),
    with("nat_media", &["WITH_NAT", WITH_RELAY], nat::nat_media),
    with("nat_late_offer", &["WITH_NAT", WITH_RELAY], nat::nat_late_offer),
    with("no_nat", &["WITH_NAT"], nat::no_nat),
    on("ipv6", &["[::1]"], addresses::ipv6),
    on("two_sockets", &["127.0.0.1", "127.0.0.1"], addresses::two_sockets),
    on("ipv4_to_ipv6", &["127.0.0.1", "[::1]"], addresses::two_sockets),
    plain("advertised_once", addresses::advertised_once),
    on("advertised", &["127.0.0.1 192.0.2.80:5080"], addresses::advertised),
];

/// The scenario that `SIP_TEST_SCENARIO` names; all without it.
pub fn chosen() -> impl Iterator<Item = &'static Scenario> {
    let name = std::env::var("SIP_TEST_SCENARIO").ok();
    ALL.iter().filter(move |s| name.as_deref().is_none_or(|n| n == s.name))
}

const SHORT: Duration = Duration::from_millis(300);
