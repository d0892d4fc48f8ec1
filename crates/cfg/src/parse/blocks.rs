//! Route blocks: where they begin and end.

use super::Parser;
use crate::lex::TokenKind;
use crate::route::{self, RouteBlock, RouteKind};
use crate::source::Span;

impl Parser<'_> {
    /// A route block; the keyword is taken.
    pub(super) fn route_block(&mut self, keyword: RouteKind, keyword_span: Span) {
        let Some((name, span)) = self.route_name(keyword, keyword_span) else { return self.skip_block() };
        let kind = match (keyword, name.as_str()) {
            (RouteKind::Route, "" | "0") => RouteKind::Request,
            (RouteKind::OnReply, "" | "0") => RouteKind::Reply,
            (kind, _) => kind,
        };
        let name = if matches!(kind, RouteKind::Request | RouteKind::Reply) { String::new() } else { name };
        if !self.ahead_is(0, "{") {
            let place = self.behind();
            self.error(place, format!("'{{' expected after '{}'", keyword.keyword()));
            return self.skip_line();
        }
        let open = self.pos;
        let Some(close) = self.find_end(open) else { return };
        let end = self.tokens.get(close).map_or(span, |t| t.span);
        let tokens = self.tokens.get(open + 1..close).unwrap_or(&[]).to_vec();
        self.pos = close + 1;
        let body = route::parse_body(&tokens, end, self.sources, self.found);
        let block = RouteBlock { kind, name, span, end, tokens, body };
        if let Some(first) = self.config.route(block.kind, &block.name) {
            let place = self.sources.locate(first.span);
            let message = format!("'{}' is there already ({place})", block.title());
            let hint = "delete one of the two";
            // Kamailio refuses a second block of one name, but not a second request_route or reply_route.
            match block.name.is_empty() {
                true => self.warning(span, message).hint = Some(hint.into()),
                false => self.error(span, message).hint = Some(hint.into()),
            }
        }
        self.config.routes.push(block);
    }

    /// `[NAME]`, if there is one, with the span from the keyword on.
    fn route_name(&mut self, keyword: RouteKind, keyword_span: Span) -> Option<(String, Span)> {
        if !self.take("[") {
            if keyword == RouteKind::Event {
                self.error(keyword_span, "'event_route' needs a name").hint =
                    Some("such as event_route[tm:local-request]".into());
                return None;
            }
            return Some((String::new(), keyword_span));
        }
        let start = self.pos;
        let mut name = String::new();
        while let Some(token) = self.peek().filter(|t| !t.is("]") && !t.is("{") && !t.is("}")) {
            name.push_str(&token.text);
            self.pos += 1;
        }
        let first = self.tokens.get(start).map_or(keyword_span, |t| t.span);
        let last = self.tokens.get(self.pos.saturating_sub(1)).map_or(first, |t| t.span);
        if !self.take("]") {
            self.error(first, "the ']' behind the route's name is missing");
            return None;
        }
        let closing = self.tokens.get(self.pos.saturating_sub(1)).map_or(first, |t| t.span);
        let span = keyword_span.to(closing);
        let quoted =
            self.pos - start == 2 && self.tokens.get(start).is_some_and(|t| t.kind == TokenKind::Str);
        let allowed = |c: char| {
            c.is_ascii_alphanumeric() || c == '_' || keyword == RouteKind::Event && ":-.".contains(c)
        };
        if name.is_empty() {
            self.error(span, "the route has no name between the brackets");
            return None;
        }
        if matches!(keyword, RouteKind::Request | RouteKind::Reply) {
            let other = if keyword == RouteKind::Reply { "onreply_route" } else { "route" };
            self.error(span, format!("'{}' takes no name", keyword.keyword())).hint =
                Some(format!("did you mean '{other}[{name}]'?"));
        } else if let Some(bad) = name.chars().find(|c| !allowed(*c)).filter(|_| !quoted) {
            let message = format!("'{bad}' cannot be part of a route's name without quotes");
            self.error(first.to(last), message).hint = Some(format!("{}[\"{name}\"]", keyword.keyword()));
        }
        Some((name, span))
    }

    /// The `}` for the `{` at `open`; tells and recovers when there is none.
    fn find_end(&mut self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        let mut at = open;
        while let Some(token) = self.tokens.get(at) {
            if token.is("{") {
                depth += 1;
            } else if token.is("}") {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            } else if token.newline_before && self.starts_block(at) {
                break;
            }
            at += 1;
        }
        self.unclosed(open, at);
        self.pos = at;
        None
    }

    /// A `{` without `}` before `stop`, which is the next block or the end.
    fn unclosed(&mut self, open: usize, stop: usize) {
        let body = self.tokens.get(open..stop).unwrap_or(&[]);
        let mut stack: Vec<Span> = Vec::new();
        let mut suspect = None;
        for token in body {
            if token.is("{") {
                stack.push(token.span);
            } else if token.is("}")
                && let Some(opener) = stack.pop()
                && token.newline_before
                && suspect.is_none()
                && self.sources.indentation(token.span) < self.sources.indentation(opener)
            {
                suspect = Some((opener, token.span));
            }
        }
        let before = match self.tokens.get(stop) {
            Some(next) => format!(" before '{}' on line {}", next.text, self.sources.locate(next.span).line),
            None => " before the end of the file".into(),
        };
        let opener = self.tokens.get(open).map_or(Span::default(), |t| t.span);
        let (place, hint) = match (suspect, stack.last()) {
            (Some((opener, closer)), _) => {
                let line = self.sources.locate(closer).line;
                (opener, Some(format!("the '}}' on line {line} is indented less than this line")))
            }
            (None, Some(innermost)) => (*innermost, None),
            (None, None) => (opener, None),
        };
        self.error(place, format!("this '{{' is not closed{before}")).hint = hint;
    }

    /// Whether a statement begins at `at` that cannot stand inside a route block.
    pub(super) fn starts_block(&self, at: usize) -> bool {
        let Some(token) = self.tokens.get(at).filter(|t| t.kind == TokenKind::Ident) else { return false };
        let next = |punct| self.tokens.get(at + 1).is_some_and(|t| t.is(punct));
        match token.text.as_str() {
            "loadmodule" | "loadmodulex" | "modparam" | "modparamx" => true,
            word if RouteKind::parse(word).is_some() => next("[") || next("{"),
            _ => false,
        }
    }

    /// Whether `[..]` is followed by `{`.
    pub(super) fn block_follows(&self) -> bool {
        let rest = self.tokens.get(self.pos..).unwrap_or(&[]);
        let close = rest.iter().take(16).position(|t| t.is("]"));
        close.and_then(|at| rest.get(at + 1)).is_some_and(|t| t.is("{"))
    }
}
