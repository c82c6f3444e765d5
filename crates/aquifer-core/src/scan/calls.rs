use std::borrow::Cow;
use std::mem;

use super::Function;
use super::keyword::Keyword;
use super::lexer::{Token, fold};

/// Functions that change a session, beyond their transaction, without writing a row.
///
/// `set_config` does too unless its last argument is `true`; that is told at its closing
/// parenthesis.
const SESSION_FUNCTIONS: &[&str] = &[
    "dblink_connect",
    "dblink_connect_u",
    "dblink_disconnect",
    "lo_close",
    "lo_lseek",
    "lo_lseek64",
    "lo_open",
    "lo_truncate",
    "lo_truncate64",
    "loread",
    "lowrite",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_replication_origin_session_reset",
    "pg_replication_origin_session_setup",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "set_limit",
];

/// Finds the functions that a text calls, token by token.
///
/// `name(` is a call unless the grammar surely reads it otherwise. Where that can't be told it
/// counts as one: a call too many costs a shared connection, a call too few could put a volatile
/// function on it. A name that follows a complete operand (a literal, another name, a closing
/// parenthesis) can only be an alias with its columns, and a name behind AS or `::` only an alias
/// or a type.
#[derive(Debug, Default)]
pub(super) struct Calls<'a> {
    functions: Vec<Function<'a>>,
    changes_session: bool,
    /// Where we are, and what is open around it.
    level: Level,
    outer: Vec<Level>,
    /// The name that the last token completed, its schema included.
    name: Option<Function<'a>>,
    /// What stands before that name.
    before: Last<'a>,
    last: Last<'a>,
}

/// The text directly inside one pair of parentheses, or outside all of them.
#[derive(Debug, Default)]
struct Level {
    /// Whether its `)` leaves a gap: behind OPERATOR (…) and DISTINCT ON (…) an operand follows.
    operand_follows: bool,
    /// Whether the names of a WITH are being listed.
    with: bool,
    /// Between the parentheses of `set_config`: the commas so far.
    set_config_commas: Option<usize>,
}

/// What was read last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Last<'a> {
    /// The start, an operator or the like: an operand may follow.
    #[default]
    Gap,
    Open,
    Comma,
    Dot,
    /// `::`, behind which a type follows.
    Cast,
    /// The end of an operand that is no name.
    Operand,
    /// A keyword or a name without quotes or dots, in lower case.
    Word(Cow<'a, str>),
    /// A name in quotes or behind a dot.
    Name,
}

impl<'a> Calls<'a> {
    /// Whether no parenthesis is open.
    pub(super) fn outside_parentheses(&self) -> bool {
        self.outer.is_empty()
    }

    pub(super) fn take(&mut self, token: Token<'a>) {
        match token {
            Token::Word(word) => self.name(fold(word), false),
            Token::Quoted(name) if name.contains('"') => {
                self.name(Cow::Owned(name.replace("\"\"", "\"")), true);
            }
            Token::Quoted(name) => self.name(Cow::Borrowed(name), true),
            Token::Escaped(name) => {
                // What it names is not worth finding out: it may be any function.
                self.changes_session = true;
                self.functions.push(Function {
                    schema: None,
                    name: Cow::Borrowed(name),
                });
                self.follow(Last::Operand);
            }
            Token::Dot => self.last = Last::Dot,
            Token::Open => self.open(),
            Token::Close => self.close(),
            Token::Comma => {
                if let Some(commas) = &mut self.level.set_config_commas {
                    *commas += 1;
                }
                self.follow(Last::Comma);
            }
            Token::Cast => self.follow(Last::Cast),
            Token::Value | Token::SubscriptEnd => self.follow(Last::Operand),
            Token::Operator => self.follow(Last::Gap),
            Token::Semicolon => {
                self.level.with = false;
                self.follow(Last::Gap);
            }
        }
    }

    /// The functions in the order of the text, and whether one of them changes the session.
    pub(super) fn finish(self) -> (Vec<Function<'a>>, bool) {
        (self.functions, self.changes_session)
    }

    fn follow(&mut self, last: Last<'a>) {
        self.name = None;
        self.last = last;
    }

    fn name(&mut self, name: Cow<'a, str>, quoted: bool) {
        if self.last == Last::Dot
            && let Some(schema) = self.name.take()
        {
            let schema = Some(schema.name);
            self.name = Some(Function { schema, name });
            self.last = Last::Name;
            return;
        }
        let last = if quoted {
            Last::Name
        } else {
            self.track_with(&name);
            Last::Word(name.clone())
        };
        self.before = mem::replace(&mut self.last, last);
        self.name = Some(Function { schema: None, name });
    }

    /// Notes where the list of a WITH begins and, at the first other keyword, ends.
    fn track_with(&mut self, word: &str) {
        self.level.with = match word {
            "with" => matches!(self.last, Last::Gap | Last::Open),
            "as" | "materialized" | "not" | "recursive" => self.level.with,
            _ => self.level.with && Keyword::of(word).is_none(),
        };
    }

    fn open(&mut self) {
        let mut inside = Level::default();
        if let Some(function) = self.name.take()
            && self.last != Last::Dot
        {
            let name = function.name.as_ref();
            self.changes_session |= SESSION_FUNCTIONS.contains(&name);
            inside.set_config_commas = (name == "set_config").then_some(0);
            inside.operand_follows = name == "operator"
                || name == "on" && self.before == Last::Word(Cow::Borrowed("distinct"));
            if self.is_call() {
                self.functions.push(function);
            }
        }
        self.outer.push(mem::replace(&mut self.level, inside));
        self.last = Last::Open;
    }

    fn close(&mut self) {
        let Some(outer) = self.outer.pop() else {
            return self.follow(Last::Operand);
        };
        let closed = mem::replace(&mut self.level, outer);
        if let Some(commas) = closed.set_config_commas {
            let local = commas == 2
                && self.before == Last::Comma
                && self.last == Last::Word(Cow::Borrowed("true"));
            self.changes_session |= !local;
        }
        self.follow(if closed.operand_follows {
            Last::Gap
        } else {
            Last::Operand
        });
    }

    /// Whether the last name, which an opening parenthesis follows, is that of a function.
    fn is_call(&self) -> bool {
        let word = match &self.last {
            Last::Word(word) if Keyword::of(word).is_some_and(Keyword::bars_call) => return false,
            Last::Word(word) => word.as_ref(),
            _ => "",
        };
        match &self.before {
            Last::Gap | Last::Open => true,
            Last::Comma => !self.level.with,
            Last::Cast | Last::Operand | Last::Name | Last::Dot => false,
            Last::Word(before) => match Keyword::of(before) {
                None | Some(Keyword::Value) => false,
                Some(Keyword::Other) if word == "join" => false,
                Some(_) => !self.is_grammar(before, word),
            },
        }
    }

    /// Whether two words before a parenthesis belong to the grammar together.
    fn is_grammar(&self, before: &str, word: &str) -> bool {
        match (before, word) {
            ("as" | "recursive" | "tablesample" | "with", _)
            | ("group" | "order" | "partition", "by")
            | ("grouping", "sets")
            | ("time", "zone")
            | ("bit" | "char" | "character" | "nchar", "varying") => true,
            ("not", "materialized") => self.level.with,
            _ => false,
        }
    }
}
