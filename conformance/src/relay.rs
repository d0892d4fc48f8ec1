//! A double of RTPProxy for both subjects: the port it gives a stream depends on nothing but the command, so that both get the same.

use std::net::UdpSocket;
use std::sync::LazyLock;

/// Where it is; it answers until the process ends.
pub static PORT: LazyLock<u16> = LazyLock::new(|| {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
    let port = socket.local_addr().expect("address").port();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_535];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if let Some((cookie, command)) = text.split_once(' ') {
                let _ = socket.send_to(format!("{cookie} {}\n", answer(command)).as_bytes(), from);
            }
        }
    });
    port
});

/// `Uc0,8 call-id 10.0.0.1 4000 from;1` has port 35002, its second stream 35004; answers begin at 36000.
fn answer(command: &str) -> String {
    let stream: u16 = command.rsplit(';').next().and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    match command.as_bytes() {
        b"V" => "20040107".into(),
        [b'V', ..] => "1".into(),
        [b'U', ..] => format!("{} 192.0.2.9", 35_000 + 2 * stream),
        [b'L', ..] => format!("{} 192.0.2.9", 36_000 + 2 * stream),
        _ => "0".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_by_stream() {
        assert_eq!(answer("Uc0 call 10.0.0.1 4000 f;2"), "35004 192.0.2.9");
        assert_eq!(answer("L call 10.0.0.1 4000 f;1 t;1"), "36002 192.0.2.9");
        assert_eq!(
            (answer("V").as_str(), answer("VF 20050322").as_str(), answer("D call f").as_str()),
            ("20040107", "1", "0")
        );
    }
}
