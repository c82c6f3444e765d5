//! What kind of statement an SQL text is, told from its words alone.
//!
//! [`scan`] splits the text as PostgreSQL's lexer does and looks at keywords and at names that a
//! parenthesis follows. That decides where a statement may run: a [`Class::Read`] whose
//! [functions](Scan::functions) the catalog calls stable or immutable may share a connection, any
//! other statement gets one for itself.
//!
//! # Limits
//! Text shows only part of what a statement does. Views, operators, casts, column defaults,
//! policies and the notation `row.function` may call volatile functions that no name in the text
//! reveals, and DO and functions may do anything. That is what the server's guard is for: a shared
//! connection is read-only, and a hidden write comes back refused. With
//! `standard_conforming_strings = off` strings are read differently from how the server reads them,
//! so a connection must not turn it off. Newer servers have more grammar that looks like calls, such
//! as `json_array(…)`; it is reported as a function, which the catalog does not know.

mod calls;
mod changes;
mod copy;
mod display;
mod keyword;
mod lexer;
mod split;
mod statement;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::mem;

use self::calls::Calls;
pub use self::changes::{Change, Changes, Effect, Equal, changes, equals_of_query};
pub use self::copy::{Copy, copy};
pub use self::display::{masked, summary};
use self::lexer::{Lexer, Token};
pub use self::split::statements;
use self::statement::Statement;

/// What [`scan`] found in an SQL text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scan<'a> {
    /// Its class; of several statements, that of the most demanding one.
    pub class: Class,
    /// The functions that it calls by name, in the order of the text and as often as they stand
    /// there.
    pub functions: Vec<Function<'a>>,
    /// Whether the session is visibly not as before when the statement is done: settings, cursors,
    /// prepared statements, temporary tables, listeners, session locks, descriptors.
    ///
    /// SET LOCAL, `set_config(…, true)` and row or table locks do not count, for they end with their
    /// transaction. Of DO, whose body is not read, it is assumed.
    pub changes_session: bool,
    /// Whether it changes settings, be it only until the end of its transaction: any SET, and
    /// `set_config`.
    pub changes_settings: bool,
    /// Whether a part of it may be committed although another part fails: CALL and DO, whose bodies
    /// may COMMIT, transaction control, and what takes transactions of its own, such as VACUUM.
    pub commits_midway: bool,
    /// How many statements it has, not counting empty ones.
    pub statements: usize,
}

/// A function called by name, as the catalog spells it: folded to lower case unless quoted.
///
/// A name written `U&"…"` is kept as written, which no catalog knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Function<'a> {
    /// The schema, if the text names it.
    pub schema: Option<Cow<'a, str>>,
    /// The name alone.
    pub name: Cow<'a, str>,
}

/// What kind of statement a text is, the less demanding ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// No statement at all.
    Empty,
    /// SELECT, WITH, VALUES, TABLE or SHOW without a row lock, INTO, or a write inside WITH.
    ///
    /// Its functions may still write.
    Read,
    /// Whatever none of the others is: all that writes, DDL, EXPLAIN, CALL and DO.
    Write,
    /// What no transaction may contain, such as VACUUM or CREATE INDEX CONCURRENTLY.
    Utility,
    /// COPY, which changes the protocol for its duration.
    Copy,
    /// What leaves something behind in the session: SET, LISTEN, DECLARE, PREPARE, CREATE TEMP and
    /// their counterparts; and LOCK, which needs a transaction around it.
    Session,
    /// What begins, ends or divides a transaction.
    TransactionControl,
}

/// Classifies an SQL text; takes time in proportion to its length and fails for no text.
#[must_use]
pub fn scan(sql: &str) -> Scan<'_> {
    let mut scan = Scan {
        class: Class::Empty,
        functions: Vec::new(),
        changes_session: false,
        changes_settings: false,
        commits_midway: false,
        statements: 0,
    };
    let mut calls = Calls::default();
    let mut statement = Statement::default();
    for token in Lexer::new(sql) {
        let ends = token == Token::Semicolon
            && calls.outside_parentheses()
            && statement.ends_at_semicolon();
        calls.take(token);
        if ends {
            scan.add(&mem::take(&mut statement));
        } else {
            statement.take(token);
        }
    }
    scan.add(&statement);
    let (functions, changes_session) = calls.finish();
    scan.changes_settings |= functions.iter().any(|called| called.name == "set_config");
    scan.functions = functions;
    scan.changes_session |= changes_session;
    scan
}

/// Whether a text begins with BEGIN, COMMIT, SAVEPOINT or the like; reads no more than its first two
/// words, so it costs nothing per call.
#[must_use]
pub fn controls_transaction(sql: &str) -> bool {
    first_words(sql).class() == Class::TransactionControl
}

/// What is wrong with a text that is to become part of a statement, if something is: it would end
/// more than itself, or name a parameter by its number, which nobody knows yet.
///
/// ```
/// use aquifer_core::scan::fragment_fault;
///
/// assert_eq!(fragment_fault("lower(name) = 'a;b'"), None);
/// assert!(fragment_fault("1 = 1) or (1 = 1").is_some());
/// assert!(fragment_fault("id = $1").is_some());
/// ```
#[must_use]
pub fn fragment_fault(text: &str) -> Option<&'static str> {
    let mut depth = 0_usize;
    let mut lexer = Lexer::new(text);
    while let Some((_, written, token)) = lexer.written() {
        match token {
            Token::Open => depth += 1,
            Token::Close => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return Some("closes a parenthesis that it has not opened"),
            },
            Token::Semicolon => return Some("has a semicolon"),
            Token::Value | Token::Quoted(_) if is_open(written) => {
                return Some("has a quote that is not closed");
            }
            Token::Value if is_parameter(written) => return Some("numbers a parameter"),
            _ => {}
        }
    }
    (depth > 0).then_some("opens a parenthesis that it does not close")
}

fn is_parameter(written: &str) -> bool {
    written
        .strip_prefix('$')
        .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))
}

/// Whether a literal or name in simple quotes goes on behind the text's end.
fn is_open(written: &str) -> bool {
    ['\'', '"']
        .into_iter()
        .any(|quote| written.contains(quote) && (written.len() < 2 || !written.ends_with(quote)))
}

/// Whether a text begins with COPY; costs as little as [`controls_transaction`].
#[must_use]
pub fn copies(sql: &str) -> bool {
    first_words(sql).class() == Class::Copy
}

/// Whether a text begins with SET; costs as little as [`controls_transaction`].
#[must_use]
pub fn sets(sql: &str) -> bool {
    first_words(sql).begins_with("set")
}

/// Whether a text begins as a question does: with SELECT, WITH, VALUES, TABLE, SHOW or EXPLAIN. It may
/// lock or write all the same. Costs as little as [`controls_transaction`].
#[must_use]
pub fn asks(sql: &str) -> bool {
    let words = first_words(sql);
    let first = ["select", "with", "values", "table", "show", "explain"];
    first.into_iter().any(|word| words.begins_with(word))
}

fn first_words(sql: &str) -> Statement<'_> {
    let mut statement = Statement::default();
    Lexer::new(sql)
        .skip_while(|token| matches!(token, Token::Open | Token::Semicolon))
        .take(2)
        .for_each(|token| statement.take(token));
    statement
}

impl Scan<'_> {
    fn add(&mut self, statement: &Statement<'_>) {
        self.class = self.class.max(statement.class());
        self.changes_session |= statement.changes_session();
        self.changes_settings |= statement.changes_settings();
        self.commits_midway |= statement.commits_midway();
        self.statements += usize::from(!statement.is_empty());
    }
}
