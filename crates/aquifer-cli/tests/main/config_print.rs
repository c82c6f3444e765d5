use super::{Directory, Run};

type Variables = &'static [(&'static str, &'static str)];

const PRINT: [&str; 2] = ["config", "print"];
const URL: (&str, &str) = ("DATABASE_URL", "postgresql://app@db/shop");

/// The value and origin that the table shows for `name`.
fn cells<'a>(run: &'a Run, name: &str) -> Vec<&'a str> {
    let rows = run
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = rows.filter(|cells| cells.first() == Some(&name));
    let cells = found
        .next()
        .unwrap_or_else(|| panic!("{name} is not in:\n{}", run.stdout));
    assert!(
        found.next().is_none(),
        "{name} is twice in:\n{}",
        run.stdout
    );
    cells.into_iter().skip(1).collect()
}

#[test]
fn each_value_is_shown_with_its_origin() {
    let directory = Directory::new();
    directory.write(
        "aquifer.toml",
        "connections_max = 20\n\n[advanced]\nlanes = 1\n",
    );
    let variables = [
        URL,
        ("AQUIFER_QUERY_TIMEOUT", "90s"),
        ("PGSSLMODE", "require"),
    ];
    let run = directory.run(&PRINT, &variables);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        cells(&run, "url"),
        ["postgresql://app@db/shop", "DATABASE_URL"]
    );
    assert_eq!(cells(&run, "connections_max"), ["20", "aquifer.toml:1"]);
    assert_eq!(cells(&run, "advanced.lanes"), ["1", "aquifer.toml:4"]);
    assert_eq!(
        cells(&run, "query_timeout"),
        ["90s", "AQUIFER_QUERY_TIMEOUT"]
    );
    assert_eq!(cells(&run, "sslmode"), ["require", "PGSSLMODE"]);
    assert_eq!(cells(&run, "redis_url"), ["-", "default"]);
    assert_eq!(cells(&run, "advanced.statements_max"), ["256", "default"]);
}

#[test]
fn a_named_file_is_read_instead_of_the_usual_one() {
    let directory = Directory::new();
    directory.write("aquifer.toml", "connections_max = 20");
    directory.write("other.toml", "connections_max = 30");
    let run = directory.run(&["config", "print", "--file", "other.toml"], &[URL]);
    assert_eq!(cells(&run, "connections_max"), ["30", "other.toml:1"]);
    let run = directory.run(&PRINT, &[URL, ("AQUIFER_CONFIG", "other.toml")]);
    assert_eq!(cells(&run, "connections_max"), ["30", "other.toml:1"]);
}

#[test]
fn json_holds_the_same_and_null_for_what_is_not_set() {
    let directory = Directory::new();
    let run = directory.run(&["config", "print", "--json"], &[URL]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let printed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let object = |name: &str, value, origin: &str| serde_json::json!({ "name": name, "value": value, "origin": origin });
    let printed = printed.as_array().unwrap();
    let expected = [
        object("url", Some("postgresql://app@db/shop"), "DATABASE_URL"),
        object("redis_url", None, "default"),
        object("redis_timeout", Some("1s"), "default"),
    ];
    assert_eq!(printed.get(..3), Some(&expected[..]));
    assert_eq!(printed.len(), aquifer::Config::new().values().count());
}

#[test]
fn a_bad_configuration_exits_with_2_and_says_what_to_change() {
    let cases: [(&str, Variables, &str); 5] = [
        ("", &[], "url is not set; set the variable DATABASE_URL"),
        (
            "",
            &[URL, ("AQUIFER_LANES", "1")],
            "did you mean AQUIFER_ADVANCED_LANES?",
        ),
        (
            "connections_max = 0",
            &[URL],
            "connections_max (aquifer.toml:1) is 0",
        ),
        (
            "query_timeout = 5",
            &[URL],
            "query_timeout (aquifer.toml:1) is a whole number",
        ),
        (
            "",
            &[("AQUIFER_CONFIG", "missing.toml")],
            "missing.toml can't be read",
        ),
    ];
    for (file, variables, part) in cases {
        let directory = Directory::new();
        directory.write("aquifer.toml", file);
        let run = directory.run(&PRINT, variables);
        assert_eq!(run.code, Some(2), "{part}");
        assert!(
            run.stderr.contains(part),
            "{part:?} is not in {}",
            run.stderr
        );
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
}

#[test]
fn a_value_that_can_be_read_but_not_used_is_still_shown() {
    let run = Directory::new().run(&PRINT, &[URL, ("AQUIFER_CONNECTIONS_MAX", "0")]);
    assert_eq!(run.code, Some(2));
    assert_eq!(
        cells(&run, "connections_max"),
        ["0", "AQUIFER_CONNECTIONS_MAX"]
    );
}

#[test]
fn passwords_are_never_printed() {
    let cases: [Variables; 9] = [
        &[("DATABASE_URL", "postgresql://u:canary@h/d")],
        &[("DATABASE_URL", "postgresql://u:c%61nary@h/d")],
        &[("DATABASE_URL", "postgresql://u@h/d?password=canary")],
        &[("DATABASE_URL", "postgresql://u:can@canary@h/d")],
        &[("DATABASE_URL", "postgresql://u:1/canary@h/d")],
        &[URL, ("PGPASSWORD", "canary")],
        &[URL, ("REDIS_URL", "redis://:canary@h")],
        &[URL, ("REDIS_URL", "redis://:1/canary@h")],
        &[URL, ("AQUIFER_CONNECTIONS_MAX", "canary")],
    ];
    for variables in cases {
        for arguments in [&PRINT[..], &["config", "print", "--json"]] {
            let run = Directory::new().run(arguments, variables);
            let said = run.stdout + &run.stderr;
            assert!(
                !said.contains("canary") && !said.contains("c%61nary"),
                "{said}"
            );
            assert!(!said.is_empty());
        }
    }
    let directory = Directory::new();
    directory.write("aquifer.toml", "url = \"postgresql://u:canary@h/d");
    let run = directory.run(&PRINT, &[]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("aquifer.toml:1") && !run.stderr.contains("canary"),
        "{}",
        run.stderr
    );
}

#[test]
fn control_characters_of_a_value_do_not_reach_the_terminal() {
    let run = Directory::new().run(
        &PRINT,
        &[URL, ("AQUIFER_APPLICATION_NAME", "a\u{1b}[2Jb\nc")],
    );
    assert_eq!(
        cells(&run, "application_name"),
        ["a\\u{1b}[2Jb\\nc", "AQUIFER_APPLICATION_NAME"]
    );
    assert_eq!(run.code, Some(2));
}
