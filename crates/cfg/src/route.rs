//! Route blocks: tokens and statements.
//!
//! Statements are parsed as far as is needed to point at broken syntax: brackets, missing `;`, `else` without `if`.
//! Conditions and expressions stay ranges of tokens.

mod statements;

use std::ops::Range;

use crate::lex::Token;
use crate::source::Span;

pub(crate) use statements::parse_body;

/// What a route block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// `request_route` (also `route` without a name): every request.
    Request,
    /// `route[NAME]`: called from other routes.
    Route,
    /// `reply_route` (also `onreply_route` without a name): every reply.
    Reply,
    /// `onreply_route[NAME]`: replies of transactions that asked for it.
    OnReply,
    /// `failure_route[NAME]`: transactions that failed.
    Failure,
    /// `branch_route[NAME]`: each branch before it is sent.
    Branch,
    /// `onsend_route`: each message before it is sent.
    OnSend,
    /// `event_route[NAME]`: events of the core and of modules.
    Event,
}

impl RouteKind {
    /// The word of the configuration.
    pub fn keyword(self) -> &'static str {
        match self {
            RouteKind::Request => "request_route",
            RouteKind::Route => "route",
            RouteKind::Reply => "reply_route",
            RouteKind::OnReply => "onreply_route",
            RouteKind::Failure => "failure_route",
            RouteKind::Branch => "branch_route",
            RouteKind::OnSend => "onsend_route",
            RouteKind::Event => "event_route",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "request_route" => RouteKind::Request,
            "route" => RouteKind::Route,
            "reply_route" => RouteKind::Reply,
            "onreply_route" => RouteKind::OnReply,
            "failure_route" => RouteKind::Failure,
            "branch_route" => RouteKind::Branch,
            "onsend_route" => RouteKind::OnSend,
            "event_route" => RouteKind::Event,
            _ => return None,
        })
    }
}

/// A route block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteBlock {
    /// What it is for.
    pub kind: RouteKind,
    /// Its name; empty if it has none.
    pub name: String,
    /// From the keyword to the name.
    pub span: Span,
    /// The closing bracket.
    pub end: Span,
    /// Everything between the brackets.
    pub tokens: Vec<Token>,
    /// The same as statements, whose ranges count `tokens`.
    pub body: Vec<Statement>,
}

impl RouteBlock {
    /// As a configuration would write it: `failure_route[NAME]`.
    pub fn title(&self) -> String {
        match self.name.as_str() {
            "" => self.kind.keyword().to_owned(),
            name => format!("{}[{name}]", self.kind.keyword()),
        }
    }
}

/// A statement of a route block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `if (..) .. else if (..) .. else ..`: conditions with their statements, and the last `else`.
    If(Vec<(Range<usize>, Vec<Statement>)>, Option<Vec<Statement>>),
    /// `while (..) ..`
    While(Range<usize>, Vec<Statement>),
    /// `switch (..) { .. }`
    Switch(Range<usize>, Vec<Case>),
    /// A call, an assignment, `exit`, `return` and the like, without the `;`.
    Simple(Range<usize>),
    /// `{ .. }`
    Block(Vec<Statement>),
}

/// A `case` or `default` of a `switch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The value; empty for `default`.
    pub label: Range<usize>,
    /// Its statements, to the next label.
    pub body: Vec<Statement>,
}
