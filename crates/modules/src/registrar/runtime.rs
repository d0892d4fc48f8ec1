//! Parameters of `registrar` that `cfg.*` shows. They are read once, at the start.

use script::{RuntimeParam, read_only_params};

use super::Registrar;

pub(super) const PARAMS: &[RuntimeParam] = read_only_params! { "registrar", Registrar;
    "default_expires" Int "Seconds of a contact that names none." |m| i64::from(m.settings.default_expires).into();
    "default_expires_range" Int "Percent by which default_expires is varied." |m| i64::from(m.settings.default_expires_range).into();
    "expires_range" Int "Percent by which expires is varied." |m| i64::from(m.settings.expires_range).into();
    "min_expires" Int "Least seconds of a contact." |m| i64::from(m.settings.min_expires).into();
    "max_expires" Int "Most seconds of a contact." |m| i64::from(m.settings.max_expires).into();
    "max_contacts" Int "Most contacts of an address-of-record; 0 any number." |m| i64::from(m.settings.max_contacts).into();
    "retry_after" Int "Seconds in Retry-After of a 5xx; 0 none." |m| i64::from(m.settings.retry_after).into();
    "case_sensitive" Int "1: addresses-of-record are found as written." |m| m.settings.case_sensitive.into();
    "default_q" Int "q of a contact that names none, in thousandths; -1 none." |m| m.settings.default_q.into();
    "append_branches" Int "1: lookup makes branches of all contacts." |m| m.settings.append_branches.into();
    "use_expired_contacts" Int "1: contacts that have ended are found." |m| m.settings.use_expired_contacts.into();
};
