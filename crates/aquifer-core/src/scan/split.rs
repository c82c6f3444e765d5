use std::ops::Range;

use super::lexer::{Lexer, Token};
use super::statement::Statement;

/// Where each statement of a script stands: from its first word to its last token, without the
/// semicolon that ends it, and without comments before and behind it.
///
/// A semicolon within parentheses (`CREATE RULE … DO (…; …)`) or within the body of a function in
/// standard SQL (`BEGIN ATOMIC … END`) ends nothing, as in psql.
#[must_use]
pub fn statements(sql: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut lexer = Lexer::new(sql);
    let (mut at, mut depth) = (0, 0_usize);
    let mut current: Option<(Range<usize>, Statement<'_>)> = None;
    while let Some((space, piece, token)) = lexer.written() {
        let start = at + space.len();
        at = start + piece.len();
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        let ends = token == Token::Semicolon
            && depth == 0
            && current
                .as_ref()
                .is_none_or(|(_, statement)| statement.ends_at_semicolon());
        if ends {
            found.extend(current.take().map(|(range, _)| range));
            continue;
        }
        let (range, statement) =
            current.get_or_insert_with(|| (start..start, Statement::default()));
        range.end = at;
        statement.take(token);
    }
    found.extend(current.map(|(range, _)| range));
    found
}

#[cfg(test)]
mod tests {
    use super::statements;

    fn split(sql: &str) -> Vec<&str> {
        statements(sql)
            .into_iter()
            .map(|range| sql.get(range).unwrap())
            .collect()
    }

    #[test]
    fn a_script_is_split_where_its_statements_end() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            (" ; ; -- nothing\n;", &[]),
            ("select 1", &["select 1"]),
            ("select 1;\nselect 2 ;", &["select 1", "select 2"]),
            ("-- a; b\n/* c; */ select ';' ; x", &["select ';'", "x"]),
            ("select $f$ ; $f$; y", &["select $f$ ; $f$", "y"]),
            (
                "create rule r as on insert to t do (delete from a; delete from b); z",
                &[
                    "create rule r as on insert to t do (delete from a; delete from b)",
                    "z",
                ],
            ),
            (
                "create function f() returns int begin atomic select case when true then 1 end; \
                 select 2; end; z",
                &[
                    "create function f() returns int begin atomic select case when true then 1 \
                     end; select 2; end",
                    "z",
                ],
            ),
            ("(select 1); select \";\"", &["(select 1)", "select \";\""]),
            ("select 1 -- the end", &["select 1"]),
            ("select 'é;' ; select 'ü'", &["select 'é;'", "select 'ü'"]),
            ("begin; x; end;", &["begin", "x", "end"]),
        ];
        for (sql, expected) in table {
            assert_eq!(split(sql), *expected, "{sql}");
        }
    }
}
