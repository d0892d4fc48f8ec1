//! Header field names (RFC 3261 §20 and the IANA registry), with their compact forms.

/// A header this server has a use for; everything else is [`HeaderName::Other`] and found by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum HeaderName {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    MaxForwards,
    Route,
    RecordRoute,
    ContentLength,
    ContentType,
    Expires,
    Require,
    ProxyRequire,
    Supported,
    Unsupported,
    Allow,
    Accept,
    UserAgent,
    Server,
    Authorization,
    ProxyAuthorization,
    WwwAuthenticate,
    ProxyAuthenticate,
    Path,
    ServiceRoute,
    MinExpires,
    Date,
    Event,
    ReferTo,
    ReferredBy,
    Replaces,
    Diversion,
    PAssertedIdentity,
    PPreferredIdentity,
    RemotePartyId,
    Privacy,
    Subject,
    RetryAfter,
    Timestamp,
    Reason,
    SessionExpires,
    MinSe,
    RAck,
    RSeq,
    SubscriptionState,
    Identity,
    MaxBreadth,
    Warning,
    ContentEncoding,
    Organization,
    PChargingVector,
    Other,
}

impl HeaderName {
    /// Classifies a name, case-insensitively and with compact forms (`v f t i m l c k s o r b x ...`).
    pub fn parse(name: &[u8]) -> HeaderName {
        todo!("{name:?}")
    }
    /// The name as RFC 3261 spells it, `""` for `Other`.
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}
