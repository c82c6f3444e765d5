//! SQL text as it may be shown: without the values that stand in it, and in a few words.

use super::lexer::{Lexer, Token};

/// Most bytes of a [`summary`].
const SUMMARY_MAX: usize = 255;

/// The text with a `?` for each string and number that stands in it, without comments, and with one
/// space where there were several or lines ended.
///
/// Parameters (`$1`) stay: they tell nothing of their values.
#[must_use]
pub fn masked(sql: &str) -> String {
    let mut shown = String::with_capacity(sql.len());
    let mut lexer = Lexer::new(sql);
    while let Some((space, piece, token)) = lexer.written() {
        if !space.is_empty() && !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(match token {
            Token::Value if !is_parameter(piece) => "?",
            _ => piece,
        });
    }
    shown
}

fn is_parameter(piece: &str) -> bool {
    let number = piece.strip_prefix('$').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a statement does to which tables, in the order and the case of its text:
/// `INSERT orders SELECT baskets`. At most 255 bytes, cut between words.
///
/// Told from the words alone, so that of unusual statements it may name less, or something that is
/// no table.
#[must_use]
pub fn summary(sql: &str) -> String {
    let mut summary = Summary::default();
    let mut lexer = Lexer::new(sql).peekable();
    let mut before = "";
    while let Some(token) = lexer.next() {
        let Token::Word(word) = token else {
            if matches!(token, Token::Semicolon) {
                summary.begun = false;
            }
            // What stands between two words, so that `do (update` is not taken for `do update`.
            before = "";
            continue;
        };
        let is_first = !summary.begun;
        summary.begun = true;
        let is_target_next = leads_to_target(word, before);
        if is_first || is_operation(word, before) {
            summary.push(&[word]);
        }
        before = word;
        if !is_target_next {
            continue;
        }
        while lexer.next_if(|next| is_filler(*next)).is_some() {}
        let mut name = Vec::new();
        while let Some(part) = lexer.next_if(|next| part_of_name(*next).is_some()) {
            name.extend(part_of_name(part));
            if lexer.next_if_eq(&Token::Dot).is_none() {
                break;
            }
            name.push(".");
        }
        let may_be_function = is(word, "from") || is(word, "join");
        if !may_be_function || lexer.peek() != Some(&Token::Open) {
            summary.push(&name);
        }
    }
    summary.text
}

#[derive(Default)]
struct Summary {
    text: String,
    /// The first word of the statement was seen.
    begun: bool,
    full: bool,
}

impl Summary {
    fn push(&mut self, parts: &[&str]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.full |= self.text.len() + 1 + length > SUMMARY_MAX;
        if length == 0 || self.full {
            return;
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.extend(parts.iter().copied());
    }
}

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

/// Words that do something wherever they stand, unless they belong to the word before.
fn is_operation(word: &str, before: &str) -> bool {
    let operations = ["select", "insert", "update", "delete", "merge"];
    operations.iter().any(|operation| is(word, operation)) && !is_part_of_clause(before)
}

/// FOR UPDATE, DO UPDATE, WHEN … THEN UPDATE, ON DELETE, GRANT SELECT.
fn is_part_of_clause(before: &str) -> bool {
    let words = ["for", "do", "then", "on", "key", "grant", "revoke", "of"];
    words.iter().any(|word| is(before, word))
}

fn leads_to_target(word: &str, before: &str) -> bool {
    let words = ["from", "into", "join", "table"];
    words.iter().any(|target| is(word, target)) && !is(before, "distinct")
        || is(word, "update") && !is_part_of_clause(before)
        || is(word, "copy")
}

/// What may stand before the name of a table.
fn is_filler(token: Token<'_>) -> bool {
    let fillers = ["only", "lateral", "if", "not", "exists"];
    matches!(token, Token::Word(word) if fillers.iter().any(|filler| is(word, filler)))
}

fn part_of_name(token: Token<'_>) -> Option<&str> {
    match token {
        Token::Word(word) if !is(word, "select") && !is(word, "set") => Some(word),
        Token::Quoted(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{masked, summary};

    #[test]
    fn no_value_that_stands_in_a_text_is_shown() {
        for (sql, shown) in [
            ("select 1", "select ?"),
            ("select  $1::int,\n $2", "select $1::int, $2"),
            (
                "alter role app password 'canary'",
                "alter role app password ?",
            ),
            (
                "select 'it''s', E'a\\'b', U&'x', b'1', $$y$$, $t$z$t$",
                "select ?, ?, ?, ?, ?, ?",
            ),
            (
                "select a1, \"b'c\" from t -- canary\nwhere x=1.5e3",
                "select a1, \"b'c\" from t where x=?e3",
            ),
            ("select 1 /* canary */ + 2", "select ? + ?"),
            ("select 'never closed", "select ?"),
            ("", ""),
        ] {
            assert_eq!(masked(sql), shown);
        }
    }

    #[test]
    fn a_summary_names_what_is_done_to_which_tables() {
        for (sql, words) in [
            ("select * from users where id = $1", "select users"),
            ("SELECT 1", "SELECT"),
            (
                "insert into shop.orders (a) select b from baskets",
                "insert shop.orders select baskets",
            ),
            ("update only users set name = $1", "update users"),
            ("delete from \"Users\" where id = 1", "delete Users"),
            (
                "with a as (select 1 from b) select * from a join c on true",
                "with select b select a c",
            ),
            ("select * from jobs for update skip locked", "select jobs"),
            (
                "insert into a values (1) on conflict do update set x = 1",
                "insert a",
            ),
            ("select * from unnest($1::int[])", "select"),
            ("copy users from stdin", "copy users stdin"),
            ("create table if not exists t (a int)", "create t"),
            ("begin; update a set b = 1", "begin update a"),
        ] {
            assert_eq!(summary(sql), words, "{sql}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_shown_in_bounds(sql in ".{0,400}") {
            prop_assert!(summary(&sql).len() <= 255);
            prop_assert!(masked(&sql).len() <= sql.len());
        }

        #[test]
        fn a_quoted_secret_never_shows(before in "[a-z ]{0,20}", secret in "[a-z]{6,12}") {
            let sql = format!("select {before} '{secret}' , 'x{secret}' ");
            prop_assert!(!masked(&sql).contains(&secret) || before.contains(&secret));
        }
    }
}
