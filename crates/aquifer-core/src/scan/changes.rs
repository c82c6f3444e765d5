//! Which tables a text changes, and of which row it speaks.
//!
//! Told from words alone, as all here: what a trigger, a cascade, a view or a function changes besides,
//! only the catalog knows. Rather a table too many than one too few.

use std::borrow::Cow;

use super::lexer::{Lexer, Token, fold};

/// What a text changes by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes<'a> {
    /// The tables that it names as targets, in the order of the text.
    pub tables: Vec<Change<'a>>,
    /// Whether it may change anything else too: DDL, CALL, DO, EXECUTE and whatever is not known here.
    pub anything: bool,
}

/// A table that is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change<'a> {
    /// Its name without the schema, as the catalog spells it.
    pub table: Cow<'a, str>,
    /// What becomes of its rows.
    pub effect: Effect,
    /// What each row that is changed equals; nothing where that can't be told.
    pub equals: Vec<Equal<'a>>,
}

/// What a statement does to the rows of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Rows are added, and none that was there is another one.
    Adds,
    /// Rows are added or changed; all that were there are still there.
    Updates,
    /// Anything.
    Any,
}

/// `column = $n`, which holds for each row that the statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Equal<'a> {
    /// As the catalog spells it.
    pub column: Cow<'a, str>,
    /// The number of the parameter, from 1.
    pub parameter: usize,
}

/// What a text changes; takes time in proportion to its length.
#[must_use]
pub fn changes(sql: &str) -> Changes<'_> {
    let pieces = pieces(sql);
    let mut changes = Changes::default();
    let mut begins = true;
    let mut depth = 0_usize;
    for at in 0..pieces.len() {
        let here = Here(&pieces, at);
        match here.token(0) {
            Some(Token::Open) => depth += 1,
            Some(Token::Close) => depth = depth.saturating_sub(1),
            Some(Token::Semicolon) if depth == 0 => {
                begins = true;
                continue;
            }
            _ => {}
        }
        if begins && here.token(0) != Some(Token::Open) {
            begins = false;
            changes.anything |= here.begins_something_unknown();
            here.targets_of_head(&mut changes);
        }
        here.target(&mut changes);
    }
    equals_of(&pieces, &mut changes);
    changes
}

/// What each row equals that a query of one table returns; nothing where that can't be told.
#[must_use]
pub fn equals_of_query(sql: &str) -> Vec<Equal<'_>> {
    let pieces = pieces(sql);
    let count = |word: &str| pieces.iter().filter(|piece| piece.is(word)).count();
    let others = [
        "join",
        "union",
        "intersect",
        "except",
        "with",
        "lateral",
        "tablesample",
    ];
    let plain = count("select") == 1
        && count("from") == 1
        && pieces.first().is_some_and(|piece| piece.is("select"))
        && others.iter().all(|word| count(word) == 0);
    let from = pieces.iter().position(|piece| piece.is("from"));
    match from {
        Some(from) if plain => equals_behind(&pieces, from + 1, &[]),
        _ => Vec::new(),
    }
}

/// One token, as it is written.
#[derive(Clone, Copy)]
struct Piece<'a> {
    token: Token<'a>,
    written: &'a str,
    after_dot: bool,
}

impl<'a> Piece<'a> {
    fn is(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(word) if !self.after_dot && word.eq_ignore_ascii_case(keyword))
    }

    fn name(&self) -> Option<Cow<'a, str>> {
        match self.token {
            Token::Word(word) => Some(fold(word)),
            Token::Quoted(name) if name.contains('"') => Some(name.replace("\"\"", "\"").into()),
            Token::Quoted(name) => Some(name.into()),
            _ => None,
        }
    }
}

fn pieces(sql: &str) -> Vec<Piece<'_>> {
    let mut lexer = Lexer::new(sql);
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    while let Some((_, written, token)) = lexer.written() {
        let after_dot = pieces.last().is_some_and(|last| last.token == Token::Dot);
        pieces.push(Piece {
            token,
            written,
            after_dot,
        });
    }
    pieces
}

/// Longest name, in bytes.
const NAME_MAX: usize = 63;

/// A place in a text.
struct Here<'p, 'a>(&'p [Piece<'a>], usize);

impl<'a> Here<'_, 'a> {
    fn piece(&self, ahead: usize) -> Option<&Piece<'a>> {
        self.0.get(self.1 + ahead)
    }

    fn token(&self, ahead: usize) -> Option<Token<'a>> {
        self.piece(ahead).map(|piece| piece.token)
    }

    fn is(&self, ahead: usize, keyword: &str) -> bool {
        self.piece(ahead).is_some_and(|piece| piece.is(keyword))
    }

    fn is_one_of(&self, ahead: usize, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(ahead, keyword))
    }

    fn follows_one_of(&self, keywords: &[&str]) -> bool {
        let before = self.1.checked_sub(1).and_then(|at| self.0.get(at));
        before.is_some_and(|piece| keywords.iter().any(|keyword| piece.is(keyword)))
    }

    /// Whether the statement that begins here may do what its words don't show.
    fn begins_something_unknown(&self) -> bool {
        const KNOWN: [&str; 42] = [
            "abort",
            "analyze",
            "begin",
            "checkpoint",
            "close",
            "commit",
            "copy",
            "deallocate",
            "declare",
            "delete",
            "discard",
            "end",
            "explain",
            "fetch",
            "insert",
            "listen",
            "lock",
            "merge",
            "move",
            "notify",
            "prepare",
            "refresh",
            "reindex",
            "release",
            "reset",
            "rollback",
            "savepoint",
            "select",
            "set",
            "show",
            "start",
            "table",
            "truncate",
            "unlisten",
            "update",
            "vacuum",
            "values",
            "with",
            "cluster",
            "load",
            "comment",
            "security",
        ];
        let executes = || self.0.iter().any(|piece| piece.is("execute"));
        !self.is_one_of(0, &KNOWN)
            || self.is(0, "commit") && self.is(1, "prepared")
            || self.is(0, "explain") && executes()
    }

    /// Of statements whose targets stand at their beginning only.
    fn targets_of_head(&self, changes: &mut Changes<'a>) {
        if self.is(0, "truncate") {
            // With that, all that refers to them is emptied too.
            changes.anything |= self.0.iter().any(|piece| piece.is("cascade"));
            let mut ahead = 1 + usize::from(self.is(1, "table"));
            loop {
                let read = self.add(ahead, Effect::Any, changes);
                ahead += read;
                ahead += usize::from(self.token(ahead) == Some(Token::Operator));
                if read == 0 || self.token(ahead) != Some(Token::Comma) {
                    return;
                }
                ahead += 1;
            }
        } else if self.is(0, "refresh") {
            let ahead = 3 + usize::from(self.is(3, "concurrently"));
            self.add(ahead, Effect::Any, changes);
        } else if self.is(0, "copy") && self.token(1) != Some(Token::Open) {
            // In whichever direction: to be read is no change, but costs little.
            let adds = self.0.iter().any(|piece| piece.is("from"));
            if adds {
                // `copy binary t from …` is an older way to say it.
                let is_table = |piece: &Piece<'_>| piece.name().is_some() && !piece.is("from");
                let old = self.is(1, "binary") && self.piece(2).is_some_and(is_table);
                self.add(1 + usize::from(old), Effect::Adds, changes);
            }
        }
    }

    /// Of statements that may stand within others.
    fn target(&self, changes: &mut Changes<'a>) {
        if self.is(0, "insert") && self.is(1, "into") {
            let updates = self
                .0
                .windows(2)
                .any(|two| matches!(two, [first, second] if first.is("do") && second.is("update")));
            let effect = match updates {
                true => Effect::Updates,
                false => Effect::Adds,
            };
            self.add(2, effect, changes);
        } else if self.is(0, "update") && !self.follows_one_of(&["for", "key", "do", "on", "then"])
        {
            self.add(1, Effect::Updates, changes);
        } else if self.is_one_of(0, &["delete"]) && self.is(1, "from")
            || self.is(0, "merge") && self.is(1, "into")
        {
            self.add(2, Effect::Any, changes);
        } else if self.is(0, "into") && !self.follows_one_of(&["insert", "merge", "as"]) {
            // SELECT … INTO makes a table.
            changes.anything = true;
        }
    }

    /// Adds the table that is named there; returns how many pieces the name has.
    fn add(&self, ahead: usize, effect: Effect, changes: &mut Changes<'a>) -> usize {
        let only = usize::from(self.is(ahead, "only"));
        let mut at = ahead + only;
        let mut name = self.piece(at).and_then(Piece::name);
        while name.is_some() && self.token(at + 1) == Some(Token::Dot) {
            at += 2;
            name = self.piece(at).and_then(Piece::name);
        }
        // The server cuts a longer name, so the catalog spells it otherwise.
        let Some(table) = name.filter(|name| name.len() <= NAME_MAX) else {
            changes.anything = true;
            return 0;
        };
        changes.tables.push(Change {
            table,
            effect,
            equals: Vec::new(),
        });
        at + 1 - ahead
    }
}

/// Of a lone UPDATE or DELETE of one table.
fn equals_of<'a>(pieces: &[Piece<'a>], changes: &mut Changes<'a>) {
    let [change] = changes.tables.as_mut_slice() else {
        return;
    };
    let here = Here(pieces, 0);
    let last = pieces.len().saturating_sub(1);
    let statements = pieces
        .iter()
        .take(last)
        .filter(|piece| piece.token == Token::Semicolon);
    if !here.is_one_of(0, &["update", "delete"]) || statements.count() > 0 {
        return;
    }
    let others = if here.is(0, "update") {
        "from"
    } else {
        "using"
    };
    let begin = if here.is(0, "update") { 1 } else { 2 };
    // A column that is assigned is another one afterwards.
    let assigned = pieces.iter().position(|piece| piece.is("set"));
    let mut depth = 0_usize;
    let end = pieces.iter().position(|piece| {
        match piece.token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && piece.is("where")
    });
    let assigned: Vec<_> = match (assigned, end) {
        (Some(from), Some(to)) => {
            let between = pieces.get(from..to).unwrap_or_default();
            between.iter().filter_map(Piece::name).collect()
        }
        _ => Vec::new(),
    };
    change.equals = equals_behind(pieces, begin, &[others]);
    change
        .equals
        .retain(|equal| !assigned.contains(&equal.column));
}

/// The conditions `column = $n` that hold for all rows, where one table stands behind `begin`, with no
/// `barred` word or comma after it.
fn equals_behind<'a>(pieces: &[Piece<'a>], begin: usize, barred: &[&str]) -> Vec<Equal<'a>> {
    let ends = [
        "returning",
        "order",
        "group",
        "limit",
        "offset",
        "fetch",
        "for",
        "having",
        "window",
    ];
    let confusing = ["or", "between", "case", "union", "intersect", "except"];
    let is_one_of = |piece: &Piece<'_>, words: &[&str]| words.iter().any(|word| piece.is(word));
    let (mut depth, mut conditions, mut in_set) = (0_usize, None, false);
    let mut parts: Vec<Vec<Piece<'a>>> = Vec::new();
    for piece in pieces.iter().skip(begin) {
        match piece.token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        let outside = depth == 0 && piece.token != Token::Close;
        if conditions.is_none() {
            in_set |= piece.is("set");
            if outside && piece.is("where") {
                conditions = Some(());
                parts.push(Vec::new());
            } else if outside
                && (is_one_of(piece, barred) || piece.token == Token::Comma && !in_set)
            {
                return Vec::new();
            }
            continue;
        }
        if outside && (is_one_of(piece, &ends) || piece.token == Token::Semicolon) {
            break;
        }
        if outside && is_one_of(piece, &confusing) {
            return Vec::new();
        }
        if outside && piece.is("and") {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(*piece);
        }
    }
    parts.iter().filter_map(|part| equal(part)).collect()
}

fn equal<'a>(part: &[Piece<'a>]) -> Option<Equal<'a>> {
    let [name @ .., operator, value] = part else {
        return None;
    };
    let named = match name {
        [column] => Some(column),
        [_, dot, column] if dot.token == Token::Dot => Some(column),
        [_, dot, _, second, column] if dot.token == Token::Dot && second.token == Token::Dot => {
            Some(column)
        }
        _ => None,
    };
    if operator.written != "=" {
        return None;
    }
    let parameter = value.written.strip_prefix('$')?.parse().ok()?;
    Some(Equal {
        column: named?.name()?,
        parameter,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(sql: &str) -> Vec<String> {
        let changes = changes(sql);
        let mut tables: Vec<String> = changes
            .tables
            .iter()
            .map(|change| {
                let kind = match change.effect {
                    Effect::Adds => "+",
                    Effect::Updates => "~",
                    Effect::Any => "",
                };
                let equals = change.equals.iter();
                let equals = equals.map(|equal| format!(" {}=${}", equal.column, equal.parameter));
                format!("{kind}{}{}", change.table, equals.collect::<String>())
            })
            .collect();
        tables.extend(changes.anything.then(|| "*".to_owned()));
        tables
    }

    #[test]
    fn the_targets_of_writes_are_found() {
        for (sql, expected) in [
            ("insert into users (id) values ($1)", &["+users"][..]),
            (
                "INSERT INTO app.\"Us\"\"ers\" default values",
                &["+Us\"ers"],
            ),
            (
                "insert into t values (1) on conflict (id) do update set a = 1",
                &["~t"],
            ),
            ("insert into t values (1) on conflict do nothing", &["+t"]),
            (
                "update only Users as u set a = $1 where u.id = $2",
                &["~users id=$2"],
            ),
            (
                "update users set a = $1 where id = $2 and b > 3 returning id",
                &["~users id=$2"],
            ),
            ("update users set id = $1 where id = $2", &["~users"]),
            (
                "update users set (a, id) = (1, 2) where id = $2",
                &["~users"],
            ),
            (
                "update users set a = (select b from c where d), id = $1 where id = $2",
                &["~users"],
            ),
            ("update users set a = 1 where id = $1 or b", &["~users"]),
            ("update users set a = 1 where not id = $1", &["~users"]),
            (
                "update users set a = 1 from b where users.id = $1",
                &["~users"],
            ),
            (
                "delete from \"users\" where \"users\".\"id\" = $1;",
                &["users id=$1"],
            ),
            ("delete from a using b where id = $1", &["a"]),
            (
                "delete from a where id = $1; delete from b where id = $2",
                &["a", "b"],
            ),
            (
                "with x as (delete from a returning *) insert into b select * from x",
                &["a", "+b"],
            ),
        ] {
            assert_eq!(tables(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_shows_no_targets_changes_nothing_or_anything() {
        for (sql, expected) in [
            ("select 1", &[][..]),
            (
                "merge into a using b on a.id = b.id when matched then delete",
                &["a"],
            ),
            (
                "merge into a using b on true when matched then update set x = 1",
                &["a"],
            ),
            (
                "truncate table only a, s.b *, \"c\" cascade",
                &["a", "b", "c", "*"],
            ),
            ("copy t (a) from stdin", &["+t"]),
            ("copy binary s.t from stdin", &["+t"]),
            ("copy binary from stdin", &["+binary"]),
            ("explain (analyze) execute x", &["*"]),
            (
                "delete from a23456789b123456789c123456789d123456789e123456789f123456789g1234",
                &["*"],
            ),
            ("copy t to stdout", &[]),
            ("copy (select 1) to stdout", &[]),
            ("explain analyze update t set a = 1", &["~t"]),
            ("refresh materialized view concurrently s.v", &["v"]),
            ("select * from t for no key update", &[]),
            ("select 'insert into x' from t -- delete from y", &[]),
            ("set a = 1; insert into t default values", &["+t"]),
            ("select 1 into x", &["*"]),
            (
                "create table x (id int references y on update cascade)",
                &["*"],
            ),
            ("call f()", &["*"]),
            ("do $$ begin delete from x; end $$", &["*"]),
            ("execute x", &["*"]),
            ("commit prepared 'x'", &["*"]),
            ("update U&\"x\" set a = 1", &["*"]),
            ("", &[]),
        ] {
            assert_eq!(tables(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_the_rows_of_a_query_equal_is_told_where_it_is_sure() {
        let equals = |sql| {
            let equals = equals_of_query(sql).into_iter();
            equals
                .map(|equal| format!("{}=${}", equal.column, equal.parameter))
                .collect::<Vec<_>>()
        };
        for (sql, expected) in [
            ("select * from users where id = $1", &["id=$1"][..]),
            (
                "select \"a\", count(*) from \"s\".\"users\" as u where \"u\".\"id\" = $2 and \"a\" > $1 \
                 order by 1 limit 1",
                &["id=$2"],
            ),
            (
                "select * from users where a = $1 and id = $2",
                &["a=$1", "id=$2"],
            ),
            ("select * from users where id = $1 or true", &[]),
            ("select * from users where (id = $1)", &[]),
            ("select * from users where id = $1::bigint", &[]),
            ("select * from users where id <= $1", &[]),
            ("select * from users where lower(id) = $1", &[]),
            ("select * from users, b where id = $1", &[]),
            ("select * from users join b on true where id = $1", &[]),
            ("select * from users where id = $1 union select 1", &[]),
            (
                "select * from users where id = $1 and exists (select 1 from users)",
                &[],
            ),
            ("select (select 1) from users where id = $1", &[]),
            (
                "with x as (select 1) select * from users where id = $1",
                &[],
            ),
            (
                "select * from users where case when a and id = $1 then b end",
                &[],
            ),
            ("select * from users where a between 1 and id = $1", &[]),
        ] {
            assert_eq!(equals(sql), expected, "{sql}");
        }
    }
}
