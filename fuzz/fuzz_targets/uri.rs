//! Any bytes as URI, name-addr, Via, parameters, list: no panic, and the parts make up the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_message::grammar::{Component, escape, is_token, split_list, unescape, unquote};
use trunkline_message::{HeaderName, NameAddr, Params, Uri, Via};

fuzz_target!(|data: &[u8]| {
    let (one, two) = data.split_at(data.iter().position(|&b| b == b'\n').unwrap_or(data.len()));
    if let (Ok(a), Ok(b)) = (Uri::parse(one), Uri::parse(two.get(1..).unwrap_or_default())) {
        assert!(a.equivalent(&a) && b.equivalent(&b));
        assert_eq!(a.equivalent(&b), b.equivalent(&a), "comparison is symmetric");
    }
    if let Ok(uri) = Uri::parse(one) {
        if uri.scheme.is_sip() {
            assert_eq!(rebuilt(&uri).len(), one.len(), "nothing of the URI is lost");
        }
        let _ = (uri.transport(), uri.port_or_default(), uri.ip(), uri.is_loose());
    }
    for address in NameAddr::list(data).flatten() {
        assert!(NameAddr::parse(address.text) == Ok(address));
        let _ = (address.tag(), address.display_unquoted(), address.parse_uri());
    }
    for via in Via::list(data).flatten() {
        assert_eq!(Via::parse(via.text), Ok(via));
        let _ = (via.reply_address(), via.has_magic_cookie());
    }
    for param in Params(data).iter() {
        assert!(!param.name.is_empty() && param.unquoted().len() <= data.len());
    }
    let _ = (
        Params(data).get("tag"),
        Params(data).get_escaped("lr"),
        split_list(data).count(),
        unquote(data),
        is_token(data),
    );
    for component in [Component::User, Component::Param, Component::Header] {
        assert_eq!(&*unescape(&escape(data, component)), data);
    }
    let _ = HeaderName::parse(one).as_str();
});

fn rebuilt(uri: &Uri<'_>) -> Vec<u8> {
    let mut text = uri.text.split(|&b| b == b':').next().unwrap_or_default().to_vec();
    text.push(b':');
    if let Some(user) = uri.user {
        text.extend(user);
        if let Some(password) = uri.password {
            text.push(b':');
            text.extend(password);
        }
        text.push(b'@');
    }
    text.extend(uri.host);
    // The port may have leading zeros and parameters or headers be empty: their text is what remains.
    let rest = &uri.text[text.len()..];
    assert!(rest.is_empty() || b":;?".contains(&rest[0]));
    assert!(rest.ends_with(uri.headers) && text.ends_with(uri.host));
    text.extend(rest);
    text
}
