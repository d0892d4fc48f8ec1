//! `listen`, `alias` and `socket`.

use super::Parser;
use crate::address::{Address, Alias, Listen, Proto, expand_list, parse_advertise};
use crate::lex::TokenKind;
use crate::source::Span;
use crate::value::boolean;

impl Parser<'_> {
    /// The tokens of an address as one text: `udp : 10.0.0.1:5060` is `udp:10.0.0.1:5060`.
    pub(super) fn joined(&mut self) -> Option<(String, Span)> {
        let first = self.peek()?;
        if matches!(first.kind, TokenKind::Pv | TokenKind::Other)
            || [";", "=", "{", "}", ",", "-"].iter().any(|p| first.is(p))
        {
            return None;
        }
        let mut span = first.span;
        let mut text = String::new();
        let mut listing = false;
        while let Some(token) = self.peek() {
            let colon = !token.newline_before && (token.is(":") || text.ends_with(':'));
            let stop = [";", "=", "{", "}"].iter().any(|p| token.is(p)) || (token.is(",") && !listing);
            if stop || (!text.is_empty() && token.space_before && !colon && !listing) {
                break;
            }
            match token.text.as_str() {
                "(" => listing = true,
                ")" => listing = false,
                _ => {}
            }
            text.push_str(&token.text);
            span = span.to(token.span);
            self.pos += 1;
        }
        Some((text, span))
    }

    /// Whether the list of addresses goes on.
    fn another_address(&mut self) -> bool {
        self.take(",");
        let Some(token) = self.peek() else { return false };
        let address = matches!(token.kind, TokenKind::Ident | TokenKind::Int(_) | TokenKind::Str)
            || token.is("[")
            || token.is("(")
            || token.is("*");
        let statement = self.starts_statement(self.pos);
        if !token.newline_before {
            return address && !statement;
        }
        // On a new line only what cannot be anything else.
        let protocol =
            token.kind == TokenKind::Ident && Proto::parse(&token.text).is_some() && self.ahead_is(1, ":");
        token.kind == TokenKind::Str || protocol || matches!(token.kind, TokenKind::Int(_))
    }

    pub(super) fn listen(&mut self) {
        let workers = self.workers.take();
        while let Some((text, span)) = self.joined() {
            let first = self.config.listen.len();
            self.add_sockets(&text, span);
            let modifiers = self.modifiers();
            for socket in self.config.listen.iter_mut().skip(first) {
                socket.workers = workers;
                socket.advertise.clone_from(&modifiers.advertise);
                socket.name.clone_from(&modifiers.name);
                socket.virtual_address = modifiers.virtual_address;
            }
            if !self.another_address() {
                break;
            }
        }
        self.end_of_statement();
    }

    fn add_sockets(&mut self, text: &str, span: Span) {
        let addresses = expand_list(text)
            .and_then(|list| list.iter().map(|one| Address::parse(one)).collect::<Result<Vec<_>, _>>());
        match addresses {
            Ok(addresses) => {
                for address in addresses {
                    if matches!(address.proto, Some(Proto::Ws | Proto::Wss)) {
                        self.error(span, "WebSocket has no sockets of its own").hint =
                            Some("listen on tcp or tls and load the module websocket".into());
                    }
                    self.config.listen.push(Listen::new(address, span));
                }
            }
            Err(why) => {
                self.error(span, why).hint = Some("such as udp:127.0.0.1:5060".into());
            }
        }
    }

    /// `advertise ..`, `name ".."`, `virtual` in any order.
    fn modifiers(&mut self) -> Listen {
        let nothing = Address { proto: None, host: String::new(), port: None, last_port: None };
        let mut found = Listen::new(nothing, Span::default());
        while let Some(token) =
            self.peek().filter(|t| t.kind == TokenKind::Ident && !self.ahead_is(1, "=")).cloned()
        {
            match token.text.as_str() {
                "advertise" | "ADVERTISE" => {
                    self.pos += 1;
                    let next = self.peek().filter(|t| !(t.newline_before && self.starts_statement(self.pos)));
                    let there = next.is_some_and(|t| !t.is_ident("name") && !t.is_ident("virtual"));
                    let Some((text, span)) = there.then(|| self.joined()).flatten() else {
                        self.error(token.span, "an address is expected after 'advertise'").hint =
                            Some("advertise 203.0.113.1:5060".into());
                        continue;
                    };
                    match parse_advertise(&text) {
                        Ok(advertise) => found.advertise = Some(advertise),
                        Err(why) => drop(self.error(span, why)),
                    }
                }
                "name" | "NAME" => {
                    self.pos += 1;
                    match self.peek().filter(|t| t.kind == TokenKind::Str).cloned() {
                        Some(name) => {
                            self.pos += 1;
                            found.name = Some(name.text);
                        }
                        None => {
                            self.error(token.span, "a string between quotes is expected after 'name'").hint =
                                Some("name \"s1\"".into());
                            // The word that has no quotes.
                            self.pos += usize::from(
                                self.peek().is_some_and(|t| t.kind == TokenKind::Ident && !t.newline_before),
                            );
                        }
                    }
                }
                "virtual" | "VIRTUAL" => {
                    self.pos += 1;
                    found.virtual_address = true;
                }
                _ => break,
            }
        }
        found
    }

    pub(super) fn alias(&mut self) {
        while let Some((text, span)) = self.joined() {
            match Address::parse(&text) {
                Ok(address) => {
                    let Address { proto, host, port, .. } = address;
                    self.config.aliases.push(Alias { proto, host, port, span });
                }
                Err(why) => {
                    self.error(span, why).hint = Some("such as example.com:5060".into());
                }
            }
            if !self.another_address() {
                break;
            }
        }
        self.end_of_statement();
    }

    /// `socket = { bind = ..; .. }`; the `=` is taken.
    pub(super) fn socket(&mut self) {
        let Some(open) = self.next() else { return };
        if !open.is("{") {
            self.error(open.span, "'{' expected after 'socket ='").hint =
                Some("socket = { bind = udp:127.0.0.1:5060; }".into());
            return self.skip_line();
        }
        let first = self.config.listen.len();
        let mut set = self.modifiers();
        let mut bound = false;
        set.workers = self.workers.take();
        while !self.take("}") {
            if self.take(";") {
                continue;
            }
            let Some(name) = self.next() else {
                self.error(open.span, "this '{' is not closed");
                return;
            };
            if !self.take("=") {
                self.error(
                    name.span,
                    format!("'attribute = value;' expected in 'socket', not {}", name.described()),
                );
                self.skip_line();
                continue;
            }
            let Some((text, span)) = self.joined() else {
                self.error(name.span, format!("the value of '{}' is missing", name.text));
                self.skip_line();
                continue;
            };
            match name.text.as_str() {
                "bind" => {
                    bound = true;
                    self.add_sockets(&text, span);
                }
                "advertise" => match parse_advertise(&text) {
                    Ok(advertise) => set.advertise = Some(advertise),
                    Err(why) => drop(self.error(span, why)),
                },
                "name" => set.name = Some(text),
                "agname" => set.async_group = Some(text),
                "vrf" => set.vrf = Some(text),
                "virtual" => match boolean(&text).or_else(|| text.parse::<i64>().ok().map(|n| n != 0)) {
                    Some(value) => set.virtual_address = value,
                    None => drop(self.error(span, "'virtual' takes yes or no")),
                },
                "workers" => match text.parse() {
                    Ok(workers) => set.workers = Some(workers),
                    Err(_) => drop(self.error(span, "'workers' takes a number")),
                },
                other => {
                    let known = ["bind", "advertise", "name", "agname", "vrf", "virtual", "workers"];
                    let near = crate::suggest(other, known).map(|near| format!("did you mean '{near}'?"));
                    self.error(name.span, format!("unknown attribute '{other}' of 'socket'")).hint = near;
                }
            }
        }
        if !bound {
            self.error(open.span, "this socket has no 'bind'").hint =
                Some("bind = udp:127.0.0.1:5060;".into());
        }
        for socket in self.config.listen.iter_mut().skip(first) {
            *socket = Listen {
                proto: socket.proto,
                host: std::mem::take(&mut socket.host),
                port: socket.port,
                last_port: socket.last_port,
                span: socket.span,
                ..set.clone()
            };
        }
        self.end_of_statement();
    }
}
