//! Parameters of module `registrar`.

use script::{ModParams, SetupError};

/// Parameters of module `registrar`.
#[derive(Debug, Clone, ModParams)]
pub struct Settings {
    /// Seconds a binding lasts when the REGISTER does not say.
    pub default_expires: u32,
    /// Percent (0 to 100) by which `default_expires` may be shortened at random.
    pub default_expires_range: u32,
    /// Percent (0 to 100) by which any expiry may be shortened at random.
    pub expires_range: u32,
    /// Shortest expiry in seconds; 0 none.
    pub min_expires: u32,
    /// What happens to shorter ones: 0 they are lengthened, 1 the REGISTER is answered with 423.
    pub min_expires_mode: i64,
    /// Longest expiry in seconds; 0 none.
    pub max_expires: u32,
    /// q in thousandths for contacts that give none; -1 leaves it unset.
    pub default_q: i64,
    /// Taken off the front of the domain of an address-of-record.
    pub realm_prefix: Option<String>,
    /// Whether `lookup` adds all contacts as branches (1) or takes the first only (0).
    pub append_branches: bool,
    /// Whether case counts in addresses-of-record.
    pub case_sensitive: bool,
    /// AVP with the source of the REGISTER as a SIP URI, kept as `received`.
    pub received_avp: Option<String>,
    /// Parameter of Contact in the answer that shows `received`; empty: not shown.
    pub received_param: String,
    /// Most contacts of an address-of-record; 0: 500.
    pub max_contacts: u32,
    /// Seconds in Retry-After of 5xx answers; 0 no such header.
    pub retry_after: u32,
    /// Message flag that makes `save` take the socket from the header `sock_hdr_name`; -1 none.
    pub sock_flag: i64,
    /// Header with a socket (`udp:192.0.2.1:5060`), read when `sock_flag` is set.
    pub sock_hdr_name: Option<String>,
    /// Whether the advertised address stands for a socket (1) or the bound one (0); sockets are kept by number here and show as bound.
    pub sock_mode: i64,
    /// Whether `lookup` leaves out contacts that do not support the method of an initial request.
    pub method_filtering: bool,
    /// Whether Path (RFC 3327) is kept.
    pub use_path: bool,
    /// Path in the answer: 0 never, 1 when the client supports it, 2 as 1, and 420 when it does not.
    pub path_mode: i64,
    /// Whether the `received` parameter of the first Path value is kept as `received`.
    pub path_use_received: bool,
    /// Whether `lookup` skips a first Path hop that is this server.
    pub path_check_local: bool,
    /// XAVP from which `save`, `lookup` and `registered` take settings for one message.
    pub xavp_cfg: Option<String>,
    /// XAVP to which `save`, `lookup` and `registered` write what they found.
    pub xavp_rcd: Option<String>,
    /// Fields left out of `xavp_rcd`: 1 ruid, 2 contact, 4 expires, 8 received, 16 path.
    pub xavp_rcd_mask: i64,
    /// Whether `+sip.instance` is kept and GRUUs (RFC 5627) are given.
    pub gruu_enabled: bool,
    /// Outbound (RFC 5626): 0 refused when required, 1 offered, 2 demanded.
    pub outbound_mode: i64,
    /// Whether `reg-id` counts without outbound support of the client.
    pub regid_mode: i64,
    /// Seconds in Flow-Timer (RFC 5626); 0 no such header.
    pub flow_timer: u32,
    /// Longest contact URI in bytes.
    pub contact_max_size: u32,
    /// Function of the script called as `(msg, "usrloc:contact-expired")` when a contact ended; `$ulc(exp=>...)` has its attributes.
    pub event_callback: Option<String>,
    /// Contacts `lookup` leaves out: bit 1 those without a branch flag of `rlf_bflags` in `xavp_cfg`, bit 2 those whose TCP connection is
    /// gone.
    pub lookup_filter_mode: i64,
    /// Whether `lookup` also finds contacts that have ended.
    pub use_expired_contacts: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            default_expires: 3600,
            default_expires_range: 0,
            expires_range: 0,
            min_expires: 60,
            min_expires_mode: 0,
            max_expires: 0,
            default_q: -1,
            realm_prefix: None,
            append_branches: true,
            case_sensitive: false,
            received_avp: None,
            received_param: "received".into(),
            max_contacts: 0,
            retry_after: 0,
            sock_flag: -1,
            sock_hdr_name: None,
            sock_mode: 0,
            method_filtering: false,
            use_path: false,
            path_mode: 2,
            path_use_received: false,
            path_check_local: false,
            xavp_cfg: None,
            xavp_rcd: None,
            xavp_rcd_mask: 0,
            gruu_enabled: true,
            outbound_mode: 0,
            regid_mode: 0,
            flow_timer: 0,
            contact_max_size: 512,
            event_callback: None,
            lookup_filter_mode: 0,
            use_expired_contacts: false,
        }
    }
}

impl Settings {
    /// What cannot be meant.
    pub(super) fn check(&self) -> Result<(), SetupError> {
        let range = |name: &str, n: i64, from: i64, to: i64| {
            if (from..=to).contains(&n) {
                Ok(())
            } else {
                Err(SetupError(format!("{name} {n}: {from} to {to}")))
            }
        };
        range("default_expires_range", i64::from(self.default_expires_range), 0, 100)?;
        range("expires_range", i64::from(self.expires_range), 0, 100)?;
        range("default_q", self.default_q, -1, 1000)?;
        range("path_mode", self.path_mode, 0, 2)?;
        range("outbound_mode", self.outbound_mode, 0, 2)?;
        range("sock_flag", self.sock_flag, -1, 31)?;
        if self.flow_timer > 0 && self.outbound_mode == 0 {
            return Err(SetupError("flow_timer needs outbound_mode 1 or 2".into()));
        }
        Ok(())
    }
    /// A q of the parameters' kind as contacts keep it.
    pub(super) fn q(&self) -> i16 {
        i16::try_from(self.default_q).unwrap_or(-1)
    }
}
