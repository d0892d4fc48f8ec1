//! The text of an IP address without an allocation: `$si` is asked for in almost every script.

use std::cell::OnceCell;
use std::fmt::Write;
use std::net::IpAddr;

/// Longest text of an IPv6 address.
const MAX: usize = 46;

#[derive(Debug, Clone, Copy)]
struct Written {
    bytes: [u8; MAX],
    len: usize,
}

impl Write for Written {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let end = self.len + s.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(s.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// An address's text, written when it is first asked for.
#[derive(Debug, Clone, Default)]
pub struct IpText(OnceCell<(IpAddr, Written)>);

impl IpText {
    /// The text. The address is the same at every call for one value of this type.
    pub fn of(&self, address: IpAddr) -> &[u8] {
        let (_, text) = self.0.get_or_init(|| {
            let mut text = Written { bytes: [0; MAX], len: 0 };
            // An address fits, so writing does not fail.
            let _ = write!(text, "{}", address.to_canonical());
            (address, text)
        });
        text.bytes.get(..text.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_written_as_ipv4() {
        let text = |t: &str| {
            let address: IpAddr = t.parse().expect("an address");
            String::from_utf8_lossy(IpText::default().of(address)).into_owned()
        };
        assert_eq!(text("192.0.2.1"), "192.0.2.1");
        assert_eq!(text("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(text("2001:db8:1111:2222:3333:4444:5555:6666"), "2001:db8:1111:2222:3333:4444:5555:6666");
    }
}
