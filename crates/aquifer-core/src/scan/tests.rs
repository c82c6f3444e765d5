mod tables;

use proptest::prelude::*;

use self::tables::{CALLS, CHANGES, STATEMENTS};
use super::Class::{Read, Write};
use super::{Class, controls_transaction, copies, scan};

fn calls(sql: &str) -> Vec<String> {
    let called = scan(sql).functions.into_iter();
    called
        .map(|function| match function.schema {
            Some(schema) => format!("{schema}.{}", function.name),
            None => function.name.into_owned(),
        })
        .collect()
}

#[test]
fn each_statement_has_its_class() {
    for (sql, class) in STATEMENTS {
        assert_eq!(scan(sql).class, *class, "{sql}");
    }
}

#[test]
fn two_words_tell_transaction_control() {
    for (sql, _) in STATEMENTS {
        let first = sql.split(';').next().unwrap();
        let expected = scan(first).class == Class::TransactionControl;
        assert_eq!(controls_transaction(first), expected, "{sql}");
    }
    assert!(controls_transaction("; /* x */ (commit"));
    assert!(!controls_transaction("prepare transaction_of as select 1"));
    assert!(copies(" -- x\n COPY t from stdin") && !copies("select copy from t"));
}

#[test]
fn calls_are_told_from_grammar() {
    for (sql, functions) in CALLS {
        assert_eq!(calls(sql), *functions, "{sql}");
    }
}

#[test]
fn what_outlives_the_transaction_changes_the_session() {
    for (sql, changes) in CHANGES {
        assert_eq!(scan(sql).changes_session, *changes, "{sql}");
    }
}

#[test]
fn settings_change_for_the_session_or_the_transaction() {
    for sql in [
        "set search_path = a",
        "set local search_path = a",
        "SET SESSION work_mem = 1",
        "set role r",
        "select set_config('search_path', $1, true)",
        "select 1; set local work_mem = 1",
    ] {
        assert!(scan(sql).changes_settings, "{sql}");
    }
    for sql in [
        "update t set a = 1",
        "set constraints all deferred",
        "set transaction isolation level serializable",
        "lock table t",
        "select current_setting('x')",
    ] {
        assert!(!scan(sql).changes_settings, "{sql}");
    }
}

#[test]
fn what_may_commit_by_itself_commits_midway() {
    for sql in [
        "call p()",
        "/* x */ DO $$ begin commit; end $$",
        "vacuum t",
        "create index concurrently i on t (a)",
        "begin; insert into t values (1); commit",
        "insert into t values (1); call p()",
    ] {
        assert!(scan(sql).commits_midway, "{sql}");
    }
    for sql in [
        "",
        "insert into t values (1)",
        "insert into t select call from do",
        "select 'call p()'",
        "set work_mem = 1; insert into t values (1)",
    ] {
        assert!(!scan(sql).commits_midway, "{sql}");
    }
}

#[test]
fn statements_are_counted_without_empty_ones() {
    let counts = [
        ("", 0),
        (" ; -- ;", 0),
        ("select 1", 1),
        ("select ';'; /* ; */", 1),
        ("select 1;; select 2;", 2),
        (
            "create rule r as on insert to t do also (select 1; select 2)",
            1,
        ),
        (
            "create procedure p() begin atomic select case when true then 1 end; end; select 1",
            2,
        ),
        ("begin; select 1; end; select 2", 4),
        ("select $a$;$b$;$a$; select E'\\';'", 2),
    ];
    for (sql, count) in counts {
        assert_eq!(scan(sql).statements, count, "{sql}");
    }
}

#[test]
fn a_text_may_end_anywhere() {
    for (sql, _) in STATEMENTS {
        for (end, _) in sql.char_indices() {
            let _unfinished = scan(sql.get(..end).unwrap());
        }
    }
}

/// Pieces that mean something to the lexer.
const PIECES: &str = "' \" $ $$ $a$ $1 /* */ -- ( ) ; . , :: \\ e' U&\" u&' b' select with as for \
    update into begin atomic end set_config true f é [ ] 0 1.5 +";

fn soup() -> impl Strategy<Value = String> {
    let pieces: Vec<_> = PIECES.split_ascii_whitespace().chain([" ", "\n"]).collect();
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

fn plain_statement() -> impl Strategy<Value = (&'static str, Class)> {
    let is_plain = |sql: &str| !sql.contains(['\'', '"', '$', '-', '/']);
    let plain: Vec<_> = STATEMENTS
        .iter()
        .filter(|(sql, _)| is_plain(sql))
        .copied()
        .collect();
    prop::sample::select(plain)
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), soup in soup()) {
        let _scan = scan(&text);
        let _scan = scan(&soup);
    }

    #[test]
    fn comments_change_nothing(
        (sql, class) in plain_statement(),
        text in "[^*/]*",
        line in "[^\r\n]*",
        soup in soup(),
    ) {
        let expected = scan(sql);
        prop_assert_eq!(expected.class, class);
        let line_of_soup = soup.replace(['\r', '\n'], " ");
        for comment in [format!("/*{text}*/"), format!("--{line}\n"), format!("--{line_of_soup}\r")] {
            let spaced = sql.replace(' ', &comment);
            let around = format!("{comment}{sql}{comment}");
            prop_assert_eq!(&scan(&spaced), &expected, "{}", spaced);
            prop_assert_eq!(&scan(&around), &expected, "{}", around);
        }
    }

    #[test]
    fn text_in_quotes_changes_nothing(text in any::<String>(), soup in soup()) {
        for text in [text, soup] {
            let doubled = text.replace('\'', "''");
            let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
            let name = text.replace('"', "\"\"");
            let dollar = text.replace('q', "");
            let literals = [
                format!("'{doubled}'"),
                format!("n'{doubled}'"),
                format!("U&'{doubled}'"),
                format!("E'{escaped}'"),
                format!("E'{escaped}'\n'{escaped}'"),
                format!("$q${dollar} $q$"),
                format!("t.\"{name}\""),
            ];
            for literal in literals {
                let read = scan_owned(format!("select {literal} from t"));
                let write = scan_owned(format!("select {literal} into u from t"));
                prop_assert_eq!(read, (Read, 1, 0), "{}", literal);
                prop_assert_eq!(write, (Write, 1, 0), "{}", literal);
            }
        }
    }
}

fn scan_owned(sql: String) -> (Class, usize, usize) {
    let scan = scan(&sql);
    (scan.class, scan.statements, scan.functions.len())
}
