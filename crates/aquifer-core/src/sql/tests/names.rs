use super::*;

#[test]
fn a_name_is_quoted_whatever_it_contains() {
    for (given, written) in [
        ("users", "\"users\""),
        ("a\"b", "\"a\"\"b\""),
        ("\"", "\"\"\"\""),
        ("select", "\"select\""),
        ("x\"; drop table t; --", "\"x\"\"; drop table t; --\""),
    ] {
        assert_eq!(Name::new(given).unwrap().to_string(), written);
    }
}

#[test]
fn names_that_postgresql_would_not_keep_whole_are_refused() {
    for (given, expected) in [
        (String::new(), "empty"),
        ("a\0b".to_owned(), "NUL"),
        ("x".repeat(64), "64 bytes"),
    ] {
        let error = Name::new(given).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(Name::new("x".repeat(63)).is_ok());
}

#[test]
fn a_constant_name_is_checked_alike() {
    const ID: StaticName = StaticName::new("id").unwrap();
    assert_eq!(Name::from(ID), Name::new("id").unwrap());
    let quote = StaticName::new("a\"b").unwrap();
    assert_eq!(Name::from(quote).to_string(), r#""a""b""#);
    for bad in ["", "a\0", &"x".repeat(64)] {
        let bad: &'static str = String::from(bad).leak();
        assert!(StaticName::new(bad).is_none());
    }
}

/// Texts are looked at eight bytes at a time, so what matters must be found at each place of each.
#[test]
fn what_is_no_letter_is_found_wherever_it_stands() {
    for length in 1..=63 {
        for at in 0..length {
            let with = |byte: char| {
                let text = "x".repeat(length);
                let (before, after) = text.split_at(at);
                let after = after.strip_prefix('x').unwrap();
                format!("{before}{byte}{after}")
            };
            let quoted = Name::new(with('"')).unwrap().to_string();
            assert_eq!(quoted, format!("\"{}\"", with('"').replace('"', "\"\"")));
            assert!(Name::new(with('\0')).is_err());
            for refused in ['(', ')', '"', '\'', ';'] {
                assert!(Column::parse(with(refused)).is_err(), "{}", with(refused));
            }
            let dotted: &'static str = with('.').leak();
            let split = Column::parse(dotted).map(|column| (column.table, column.name));
            match (at, length - at) {
                (0, _) | (_, 1) => assert!(split.is_err(), "{dotted}"),
                _ => assert_eq!(split.unwrap().0, Name::new("x".repeat(at)).ok()),
            }
            for kept in ['ä', '~', '_', '0', '9', 'Z', ':', '<'] {
                let name = Name::new(with(kept));
                assert_eq!(name.is_ok(), with(kept).len() <= 63);
                assert!(name.is_err() || Column::parse(with(kept)).is_ok());
            }
        }
    }
}

#[test]
fn dots_and_aliases_are_read_from_plain_text() {
    assert_eq!(column("u.name").to_string(), "\"u\".\"name\"");
    assert_eq!(
        Table::parse("app.users").unwrap().to_string(),
        "\"app\".\"users\""
    );
    let (rest, alias) = split_alias("app.users AS u").unwrap();
    assert_eq!((&*rest, alias), ("app.users", Some(name("u"))));
    let (rest, alias) = split_alias(String::from("users as x as y")).unwrap();
    assert_eq!((&*rest, alias), ("users as x", Some(name("y"))));
}

#[test]
fn what_is_more_than_a_name_is_refused_with_the_remedy() {
    for (given, expected) in [
        ("count(*)", "raw!"),
        ("\"quoted\"", "without quotes"),
        ("a.b.c", "alias"),
        ("a.", "empty"),
        (".a", "empty"),
        ("id; drop table t", "raw!"),
    ] {
        let error = Column::parse(given).unwrap_err().to_string();
        assert!(error.contains(expected), "{given}: {error}");
    }
}

#[test]
fn operators_are_a_closed_list() {
    for operator in Operator::ALL {
        assert_eq!(Operator::parse(operator.as_str()), Ok(*operator));
    }
    assert_eq!(Operator::parse("!="), Ok(Operator::NotEqual));
    assert_eq!(Operator::parse("NOT Like"), Ok(Operator::NotLike));
    for bad in ["", "= 1 OR 1=1 OR id =", "==>", "like ", "=;--", "not  in"] {
        assert!(Operator::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_unknown_operator_is_told_briefly_and_a_near_one_is_named() {
    let told = |text: &str| Operator::parse(text).unwrap_err().to_string();
    let others = "use = <> < <= > >= like ilike in between is, another of `Operator`, or raw!";
    let plain = told("; drop table users; --");
    assert_eq!(
        plain,
        format!("\"; drop table users; …\" is no operator; {others}")
    );
    for (given, meant) in [
        ("=<", "<="),
        (" = ", "="),
        ("is  NOT", "is not"),
        ("EQ", "="),
        ("~~*", "ilike"),
        ("betwen", "between"),
        ("bewteen", "between"),
        ("likes", "like"),
        ("is distinkt from", "is distinct from"),
    ] {
        let expected = format!("{given:?} is no operator; did you mean \"{meant}\"? Or {others}");
        assert_eq!(told(given), expected);
    }
    for far in ["", "l", "lkei", "=;", "ääää", "inn"] {
        assert!(!told(far).contains("did you mean"), "{far}");
    }
}

#[test]
fn types_are_names_and_nothing_else() {
    for (given, written) in [
        ("bigint", "bigint"),
        ("text[]", "text[]"),
        ("numeric(10, 2)", "numeric(10, 2)"),
        ("double precision", "double precision"),
        ("app.mood", "app.mood"),
        ("App.Mood[]", "\"App\".\"Mood\"[]"),
    ] {
        assert_eq!(TypeName::parse(given).unwrap().as_str(), written);
    }
    for bad in [
        "",
        "int; drop",
        "integer from t",
        "int)",
        "numeric(a)",
        "a.b.c",
        "x\"y",
    ] {
        assert!(TypeName::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn functions_outside_of_the_list_are_quoted() {
    for (given, written) in [
        ("count", "select count() from \"t\""),
        ("any", "select \"any\"() from \"t\""),
        (
            "pg_catalog.lower",
            "select \"pg_catalog\".\"lower\"() from \"t\"",
        ),
    ] {
        let mut select = from("t");
        select.items.push(Expr::from(call(given, vec![])).into());
        assert_eq!(text(select), written);
    }
}
