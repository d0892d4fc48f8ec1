//! The statements of a route block.
//!
//! An error is told where it is, and parsing goes on behind the statement.

use std::ops::Range;

use super::{Case, Statement};
use crate::diagnostic::Findings;
use crate::lex::{Token, TokenKind};
use crate::source::{Sources, Span};

/// Blocks inside of blocks.
const MAX_DEPTH: usize = 200;

/// Parses the tokens between the brackets of a block; `end` is the closing one.
pub(crate) fn parse_body(
    tokens: &[Token],
    end: Span,
    sources: &Sources,
    found: &mut Findings,
) -> Vec<Statement> {
    let mut body = Body { tokens, pos: 0, depth: 0, end, sources, found };
    let mut statements = Vec::new();
    while body.peek().is_some() {
        statements.extend(body.statements(false));
        // A '}' too many cannot be here: the block ends with it.
        body.pos += usize::from(body.peek().is_some());
    }
    statements
}

struct Body<'a> {
    tokens: &'a [Token],
    pos: usize,
    depth: usize,
    end: Span,
    sources: &'a Sources,
    found: &'a mut Findings,
}

impl<'a> Body<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.pos)
    }

    fn peek_is(&self, punct: &str) -> bool {
        self.peek().is_some_and(|t| t.is(punct))
    }

    fn take(&mut self, punct: &str) -> bool {
        let there = self.peek_is(punct);
        self.pos += usize::from(there);
        there
    }

    fn here(&self) -> Span {
        self.peek().map_or(self.end, |t| t.span)
    }

    fn previous(&self) -> Option<&'a Token> {
        self.pos.checked_sub(1).and_then(|at| self.tokens.get(at))
    }

    fn error(&mut self, span: Span, message: impl Into<String>) -> &mut crate::Diagnostic {
        self.found.error(self.sources, span, message)
    }

    /// Statements up to a `}`, or up to a label when `labels`.
    fn statements(&mut self, labels: bool) -> Vec<Statement> {
        let mut list = Vec::new();
        while let Some(token) = self.peek() {
            if token.is("}") || (labels && is_label(token)) {
                break;
            }
            let before = self.pos;
            list.extend(self.statement());
            // Whatever happens, go on.
            self.pos = self.pos.max(before + 1);
        }
        list
    }

    fn statement(&mut self) -> Option<Statement> {
        let token = self.peek()?;
        match (&token.kind, token.text.as_str()) {
            (TokenKind::Punct, ";") => {
                self.pos += 1;
                None
            }
            (TokenKind::Punct, "{") => Some(Statement::Block(self.block())),
            (TokenKind::Ident, "if") => Some(self.if_statement()),
            (TokenKind::Ident, "while") => {
                self.pos += 1;
                let condition = self.condition("while");
                Some(Statement::While(condition, self.branch()))
            }
            (TokenKind::Ident, "switch") => Some(self.switch()),
            (TokenKind::Ident, "else") => {
                self.error(token.span, "'else' without 'if'").hint =
                    Some("only one statement, or a block '{ }', may stand between".into());
                self.pos += 1;
                None
            }
            (TokenKind::Ident, "case" | "default")
                if is_label(token) && self.tokens.get(self.pos + 1).is_none_or(|t| !t.is("(")) =>
            {
                self.error(token.span, format!("'{}' outside of 'switch'", token.text));
                self.skip_statement();
                None
            }
            (TokenKind::Ident | TokenKind::Pv, _) => Some(self.simple()),
            (TokenKind::Punct, "@") => Some(self.simple()),
            _ => {
                self.error(token.span, format!("a statement cannot begin with {}", token.described()));
                self.skip_statement();
                None
            }
        }
    }

    /// `{ .. }`
    fn block(&mut self) -> Vec<Statement> {
        let open = self.here();
        self.pos += 1;
        self.depth += 1;
        let list = if self.depth > MAX_DEPTH {
            self.error(open, "blocks are nested too deeply");
            self.skip_block();
            Vec::new()
        } else {
            self.statements(false)
        };
        self.depth -= 1;
        self.take("}");
        list
    }

    /// To the `}` of the block that we are in, before it.
    fn skip_block(&mut self) {
        let mut depth = 0usize;
        while let Some(token) = self.peek() {
            if token.is("{") {
                depth += 1;
            } else if token.is("}") {
                if depth == 0 {
                    return;
                }
                depth -= 1;
            }
            self.pos += 1;
        }
    }

    /// The statement that a condition decides about.
    fn branch(&mut self) -> Vec<Statement> {
        if self.peek_is("{") {
            return self.block();
        }
        if self.peek().is_none_or(|t| t.is("}")) {
            let span = self.here();
            self.error(span, "a statement is missing before this");
            return Vec::new();
        }
        self.depth += 1;
        let list = if self.depth > MAX_DEPTH {
            let span = self.here();
            self.error(span, "statements are nested too deeply");
            self.skip_statement();
            Vec::new()
        } else {
            self.statement().into_iter().collect()
        };
        self.depth -= 1;
        list
    }

    fn if_statement(&mut self) -> Statement {
        let mut arms = Vec::new();
        loop {
            self.pos += 1;
            let condition = self.condition("if");
            arms.push((condition, self.branch()));
            if !self.peek().is_some_and(|t| t.is_ident("else")) {
                return Statement::If(arms, None);
            }
            self.pos += 1;
            if !self.peek().is_some_and(|t| t.is_ident("if")) {
                let otherwise = self.branch();
                return Statement::If(arms, Some(otherwise));
            }
        }
    }

    fn switch(&mut self) -> Statement {
        self.pos += 1;
        let subject = self.condition("switch");
        let mut cases = Vec::new();
        let open = self.here();
        if !self.take("{") {
            self.error(open, "'{' expected after 'switch (..)'");
            self.skip_statement();
            return Statement::Switch(subject, cases);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.error(open, "blocks are nested too deeply");
            self.skip_block();
        }
        while let Some(token) = self.peek().filter(|t| !t.is("}")) {
            if !is_label(token) {
                if !token.is(";") {
                    self.error(
                        token.span,
                        format!("'case' or 'default' expected in 'switch', not {}", token.described()),
                    );
                }
                self.statements(true);
                continue;
            }
            self.pos += 1;
            let start = self.pos;
            let colon = self
                .tokens
                .get(start..)
                .unwrap_or(&[])
                .iter()
                .position(|t| t.is(":") || t.is(";") || t.is("{") || t.is("}"));
            match colon.map(|n| start + n).filter(|at| self.tokens.get(*at).is_some_and(|t| t.is(":"))) {
                Some(at) => {
                    self.pos = at + 1;
                    if at == start && token.text == "case" {
                        self.error(token.span, "'case' has no value");
                    }
                    let body = self.statements(true);
                    cases.push(Case { label: start..at, body });
                }
                None => {
                    self.error(token.span, format!("':' is missing after '{}'", token.text));
                    self.statements(true);
                }
            }
        }
        self.depth -= 1;
        self.take("}");
        Statement::Switch(subject, cases)
    }

    fn condition(&mut self, word: &str) -> Range<usize> {
        let start = self.pos;
        if self.peek().is_none_or(|t| t.is("{") || t.is(";") || t.is("}")) {
            let span = self.previous().map_or(self.end, |t| t.span);
            self.error(span, format!("'{word}' has no condition")).hint = Some(format!("{word} (condition)"));
        } else if !self.expression() {
            // The error is told; go on behind the condition.
            while self.peek().is_some_and(|t| !t.is("{") && !t.is(";") && !t.is("}")) {
                self.pos += 1;
            }
        }
        start..self.pos
    }

    /// A call, an assignment or an action.
    fn simple(&mut self) -> Statement {
        let start = self.pos;
        let Some(first) = self.peek() else { return Statement::Simple(start..start) };
        let fine = match first.kind {
            TokenKind::Pv => {
                self.pos += 1;
                self.members();
                if self.take("=") {
                    self.expression()
                } else {
                    self.error(first.span, format!("'=' expected after {}", first.described())).hint =
                        Some("only assignments begin with a variable".into());
                    false
                }
            }
            _ => self.action(first),
        };
        let range = start..self.pos;
        if fine {
            self.semicolon();
        } else {
            self.skip_statement();
        }
        Statement::Simple(range)
    }

    fn action(&mut self, first: &Token) -> bool {
        self.pos += 1;
        match self.peek() {
            None => true,
            Some(next) if next.is(";") || next.is("}") => true,
            Some(next) if next.is("(") => {
                if !self.arguments(true) {
                    return false;
                }
                // `return (1) + 2;` and the like.
                !is_binary(self.peek()) || self.continue_expression()
            }
            Some(_) if first.is("@") => {
                self.pos -= 1;
                self.expression() && (!self.take("=") || self.expression())
            }
            Some(next) if next.is("=") => {
                self.pos += 1;
                self.expression()
            }
            // Forgotten ';': told by the caller.
            Some(next) if next.newline_before || first.text == "break" => true,
            Some(_) if matches!(first.text.as_str(), "return" | "drop" | "exit") => self.expression(),
            Some(next) => {
                self.error(
                    next.span,
                    format!("'(' expected after '{}', not {}", first.text, next.described()),
                );
                false
            }
        }
    }

    /// The `;` at the end of a statement.
    fn semicolon(&mut self) {
        if self.take(";") {
            return;
        }
        let behind = self.previous().map_or(self.end, |t| t.span.after());
        match self.peek() {
            Some(next) if next.is(")") || next.is("]") => {
                self.error(next.span, format!("this {} closes nothing", next.described()));
                self.skip_statement();
            }
            Some(next) if !next.newline_before && !next.is("}") => {
                self.error(next.span, format!("';' expected before {}", next.described()));
                self.skip_statement();
            }
            _ => {
                self.error(behind, "';' is missing here");
            }
        }
    }

    /// Behind the next `;`, or before the `}` of this block.
    fn skip_statement(&mut self) {
        while let Some(token) = self.peek() {
            if token.is("}") {
                return;
            }
            if token.is("{") {
                self.pos += 1;
                self.skip_block();
                self.take("}");
                return;
            }
            self.pos += 1;
            if token.is(";") {
                return;
            }
        }
    }

    fn expression(&mut self) -> bool {
        self.operand() && (!is_binary(self.peek()) || self.continue_expression())
    }

    fn continue_expression(&mut self) -> bool {
        while let Some(operator) = self.peek().filter(|t| is_binary(Some(t))) {
            if operator.is("=") {
                self.found.warning(self.sources, operator.span, "'=' inside of an expression").hint =
                    Some("did you mean '=='?".into());
            }
            self.pos += 1;
            if !self.operand() {
                return false;
            }
        }
        true
    }

    fn operand(&mut self) -> bool {
        loop {
            let Some(token) = self.peek() else {
                let span = self.end;
                self.error(span, "a value is expected before this");
                return false;
            };
            let next = self.tokens.get(self.pos + 1);
            match (&token.kind, token.text.as_str()) {
                (TokenKind::Punct, "!" | "-" | "~" | "+") => self.pos += 1,
                (TokenKind::Ident, "not" | "defined") => self.pos += 1,
                (TokenKind::Ident, "strempty" | "strlen") if next.is_some_and(|t| !t.is("(")) => {
                    self.pos += 1
                }
                (TokenKind::Punct, "(") => {
                    let cast = next.is_some_and(|t| matches!(t.text.as_str(), "int" | "str" | "string"))
                        && self.tokens.get(self.pos + 2).is_some_and(|t| t.is(")"));
                    if !cast {
                        return self.arguments(false);
                    }
                    self.pos += 3;
                }
                (TokenKind::Punct, "[") => {
                    // An IPv6 address, perhaps with a port.
                    if !self.group() {
                        return false;
                    }
                    self.members();
                    return true;
                }
                (TokenKind::Punct, "@") => {
                    self.pos += 1;
                    return self.peek().is_none() || self.postfix_operand();
                }
                (TokenKind::Punct | TokenKind::Other, _) => {
                    self.error(token.span, format!("a value is expected before {}", token.described()));
                    return false;
                }
                _ => return self.postfix_operand(),
            }
        }
    }

    /// A word, number, string or variable with what belongs to it: `uri:host`, `10.0.0.1`, `f(x)`, `@a.b["c"]`.
    fn postfix_operand(&mut self) -> bool {
        self.pos += 1;
        loop {
            self.members();
            match self.peek() {
                Some(t) if t.is("(") && self.previous().is_some_and(|t| t.kind == TokenKind::Ident) => {
                    if !self.arguments(true) {
                        return false;
                    }
                }
                Some(t)
                    if t.is("[")
                        && self.previous().is_some_and(|t| t.kind == TokenKind::Ident || t.is("]")) =>
                {
                    if !self.group() {
                        return false;
                    }
                }
                _ => return true,
            }
        }
    }

    /// `.word` and `:word`, joined without blanks.
    fn members(&mut self) {
        while self.peek().is_some_and(|t| !t.space_before && (t.is(".") || t.is(":")))
            && self
                .tokens
                .get(self.pos + 1)
                .is_some_and(|t| matches!(t.kind, TokenKind::Ident | TokenKind::Int(_) | TokenKind::Str))
        {
            self.pos += 2;
        }
        // `$x?` asks whether $x is there.
        self.take("?");
    }

    /// `(a, b)`: arguments of a call, or one expression between brackets.
    fn arguments(&mut self, call: bool) -> bool {
        let start = self.pos;
        if !self.group() {
            return false;
        }
        // The brackets fit; now what is between them.
        let end = std::mem::replace(&mut self.pos, start + 1);
        if call && self.peek_is(")") {
            self.pos = end;
            return true;
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let span = self.here();
            self.error(span, "brackets are nested too deeply");
            self.depth -= 1;
            return false;
        }
        let fine = loop {
            if !self.expression() {
                break false;
            }
            if call && self.take(",") {
                continue;
            }
            if self.take(")") {
                break true;
            }
            let span = self.here();
            let expected = if call { "',' or ')'" } else { "an operator or ')'" };
            let seen = self.peek().map_or_else(String::new, Token::described);
            self.error(span, format!("{expected} expected before {seen}"));
            break false;
        };
        self.depth -= 1;
        fine
    }

    /// From `(` or `[` to its partner.
    fn group(&mut self) -> bool {
        let mut open: Vec<&Token> = Vec::new();
        while let Some(token) = self.peek() {
            let closes = match token.text.as_str() {
                _ if token.kind != TokenKind::Punct => None,
                "(" | "[" => {
                    open.push(token);
                    None
                }
                ")" => Some("("),
                "]" => Some("["),
                ";" | "{" | "}" => break,
                _ => None,
            };
            if let Some(partner) = closes {
                match open.pop() {
                    Some(last) if last.text == partner => {}
                    Some(last) => {
                        self.error(
                            token.span,
                            format!(
                                "{} does not close the {} before it",
                                token.described(),
                                last.described()
                            ),
                        );
                        return false;
                    }
                    None => return true,
                }
            }
            self.pos += 1;
            if open.is_empty() {
                return true;
            }
        }
        if let Some(last) = open.first() {
            self.error(last.span, format!("this {} is not closed", last.described()));
        }
        false
    }
}

fn is_label(token: &Token) -> bool {
    token.is_ident("case") || token.is_ident("default")
}

fn is_binary(token: Option<&Token>) -> bool {
    let Some(token) = token else { return false };
    match token.kind {
        TokenKind::Punct => matches!(
            token.text.as_str(),
            "&&" | "||"
                | "=="
                | "!="
                | "=~"
                | "!~"
                | "<"
                | ">"
                | "<="
                | ">="
                | "+"
                | "-"
                | "*"
                | "/"
                | "%"
                | "&"
                | "|"
                | "^"
                | "<<"
                | ">>"
        ),
        TokenKind::Ident => {
            matches!(token.text.as_str(), "and" | "or" | "eq" | "ne" | "ieq" | "ine" | "mod" | "AND" | "OR")
        }
        _ => false,
    }
}
