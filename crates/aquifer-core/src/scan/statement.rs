use std::borrow::Cow;

use super::Class;
use super::lexer::{Token, fold};

/// How many words at the start of a statement are kept: enough for
/// `CREATE OR REPLACE GLOBAL TEMPORARY`.
const HEAD: usize = 5;

/// What tells the class of one statement, gathered token by token.
#[derive(Debug, Default)]
pub(super) struct Statement<'a> {
    /// Its first words in lower case; empty while nothing but `(` was read.
    head: Vec<Cow<'a, str>>,
    /// The last token, if it was a word without quotes.
    last: Cow<'a, str>,
    after_dot: bool,
    with: bool,
    /// Whether it writes or locks rows although it begins like a read.
    writes: bool,
    into: bool,
    temporary: bool,
    concurrently: bool,
    tablespace: bool,
    /// How many END are due in the body of a function in standard SQL.
    body_depth: usize,
}

impl<'a> Statement<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    pub(super) fn begins_with(&self, word: &str) -> bool {
        self.head.first().is_some_and(|first| first == word)
    }

    /// Whether a semicolon outside all parentheses ends it.
    pub(super) fn ends_at_semicolon(&self) -> bool {
        self.body_depth == 0
    }

    pub(super) fn take(&mut self, token: Token<'a>) {
        let word = match token {
            // A parenthesis may stand before SELECT.
            Token::Open if self.head.is_empty() => return,
            // What follows a dot is a name, never a keyword.
            Token::Word(word) if !self.after_dot => fold(word),
            Token::Quoted("pg_temp") => Cow::Borrowed("pg_temp"),
            _ => Cow::default(),
        };
        self.after_dot = token == Token::Dot;
        self.note(&word);
        if self.head.len() < HEAD && (!word.is_empty() || self.head.is_empty()) {
            self.head.push(word.clone());
        }
        self.last = word;
    }

    fn note(&mut self, word: &str) {
        match (self.last.as_ref(), word) {
            ("for", "key" | "no" | "share" | "update") => self.writes = true,
            // `AS into` is a column.
            ("as", "into") => {}
            (_, "into") => self.into = true,
            (_, "delete" | "insert" | "merge" | "update") => self.writes |= self.with,
            (_, "with") => self.with = true,
            ("global" | "into" | "local", "temp" | "temporary") | (_, "pg_temp") => {
                self.temporary = true;
            }
            (_, "concurrently") => self.concurrently = true,
            (_, "tablespace") => self.tablespace = true,
            ("begin", "atomic") => self.body_depth = 1,
            (_, "case") if self.body_depth > 0 => self.body_depth += 1,
            (_, "end") => self.body_depth = self.body_depth.saturating_sub(1),
            _ => {}
        }
    }

    pub(super) fn class(&self) -> Class {
        let mut words = self.head.iter().map(Cow::as_ref);
        let Some(first) = words.next() else {
            return Class::Empty;
        };
        let second = words.next().unwrap_or_default();
        match (first, second) {
            ("select" | "table" | "values" | "with", _) => self.class_of_query(),
            ("show", _) => Class::Read,
            ("copy", _) => Class::Copy,
            ("prepare", "transaction")
            | ("abort" | "begin" | "commit" | "end" | "release", _)
            | ("rollback" | "savepoint" | "start", _) => Class::TransactionControl,
            (
                "close" | "deallocate" | "declare" | "discard" | "execute" | "fetch" | "listen",
                _,
            )
            | ("load" | "lock" | "move" | "prepare" | "reset" | "set" | "unlisten", _) => {
                Class::Session
            }
            ("create", _) if self.creates_temporary() => Class::Session,
            ("vacuum", _)
            | ("alter", "subscription" | "system")
            | ("cluster", "" | "verbose")
            | ("create" | "drop", "database" | "subscription" | "tablespace") => Class::Utility,
            ("alter", "database") if self.tablespace => Class::Utility,
            ("alter" | "create" | "drop" | "reindex", _) if self.concurrently => Class::Utility,
            ("reindex", _) if words.any(is_many) || is_many(second) => Class::Utility,
            _ => Class::Write,
        }
    }

    /// Whether it leaves something behind in the session that outlives its transaction.
    pub(super) fn changes_session(&self) -> bool {
        let mut words = self.head.iter().map(Cow::as_ref);
        match (words.next(), words.next()) {
            (Some("do"), _) => true,
            (Some("set"), Some("constraints" | "local" | "transaction"))
            | (Some("close" | "fetch" | "lock" | "move"), _) => false,
            _ => self.class() == Class::Session,
        }
    }

    /// Whether it changes settings for whatever time.
    pub(super) fn changes_settings(&self) -> bool {
        let mut words = self.head.iter().map(Cow::as_ref);
        let first = words.next();
        first == Some("set") && !matches!(words.next(), Some("constraints" | "transaction"))
    }

    /// Whether a part of what it does may be committed although it fails.
    pub(super) fn commits_midway(&self) -> bool {
        matches!(self.head.first().map(Cow::as_ref), Some("call" | "do"))
            || matches!(self.class(), Class::TransactionControl | Class::Utility)
    }

    fn class_of_query(&self) -> Class {
        match (self.into, self.temporary) {
            (true, true) => Class::Session,
            (true, false) => Class::Write,
            (false, _) if self.writes => Class::Write,
            (false, _) => Class::Read,
        }
    }

    fn creates_temporary(&self) -> bool {
        let kind = self
            .head
            .iter()
            .skip(1)
            .find(|word| !matches!(word.as_ref(), "global" | "local" | "or" | "replace"));
        self.temporary || kind.is_some_and(|word| matches!(word.as_ref(), "temp" | "temporary"))
    }
}

/// Whether REINDEX of such a thing takes a transaction per index.
fn is_many(word: &str) -> bool {
    matches!(word, "database" | "schema" | "system")
}
