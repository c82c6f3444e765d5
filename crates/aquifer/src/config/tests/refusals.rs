use std::time::Duration;

use aquifer_wire::Secret;

use super::{Config, TemporaryFile, environment, from_environment, from_file, refusal};

/// What a refusal must say.
type Parts = &'static [&'static str];

const URL: &str = "postgresql://app@db/shop";

fn config() -> Config {
    Config::from_url(URL).unwrap()
}

/// Each is refused with these words and the place in this file that set it.
fn assert_refused<const N: usize>(cases: [(Config, &[&str]); N]) {
    for (config, parts) in cases {
        let text = refusal(Ok(config));
        for part in parts.iter().chain([&file!()]) {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
    }
}

#[test]
fn numbers_out_of_range_are_refused_with_name_place_range_and_default() {
    assert_refused([
        (
            config().connections_max(0),
            &["connections_max (", "is 0", "from 1 to 10000; leave"],
        ),
        (
            config().connections_max(10_001),
            &["connections_max (", "is 10001"],
        ),
        (
            config().advanced(|it| it.lanes(5)),
            &["advanced.lanes (", "from 0 to 4"],
        ),
        (
            config().advanced(|it| it.waiters_max(0)),
            &["advanced.waiters_max ("],
        ),
        (
            config().advanced(|it| it.attempts_max(0)),
            &["advanced.attempts_max ("],
        ),
        (
            config().advanced(|it| it.breaker_failure_percent(101)),
            &["advanced.breaker_failure_percent ("],
        ),
        (
            config().advanced(|it| it.breaker_calls_min(0)),
            &["advanced.breaker_calls_min ("],
        ),
        (
            config().advanced(|it| it.breaker_open_min(Duration::from_secs(16))),
            &["advanced.breaker_open_min (", "breaker_open_max", "15s"],
        ),
        (
            config().advanced(|it| it.statements_max(0)),
            &["advanced.statements_max ("],
        ),
        (
            config().advanced(|it| it.requests_max(0)),
            &["advanced.requests_max ("],
        ),
        (
            config().advanced(|it| it.message_max(65_535)),
            &["advanced.message_max ("],
        ),
    ]);
}

#[test]
fn times_out_of_range_are_refused_with_name_place_range_and_default() {
    let (zero, day) = (Duration::ZERO, Duration::from_secs(24 * 3600));
    let short = Duration::from_micros(999);
    assert_refused([
        (
            config().acquire_timeout(zero),
            &["acquire_timeout (", "from 1ms to 1h", "default, 5s"],
        ),
        (
            config().query_timeout(zero),
            &["query_timeout (", "1ms to 24h"],
        ),
        (
            config().query_timeout(day + short),
            &["query_timeout (", "is 86400.000999s"],
        ),
        (
            config().connect_timeout(zero),
            &["connect_timeout (", "1ms to 1h"],
        ),
        (
            config().connect_timeout(day),
            &["connect_timeout (", "is 24h"],
        ),
        (
            config().connect_timeout(short),
            &["connect_timeout (", "is 999µs"],
        ),
        (
            config().advanced(|it| it.commit_timeout(zero)),
            &["advanced.commit_timeout ("],
        ),
        (
            config().advanced(|it| it.shutdown_timeout(zero)),
            &["advanced.shutdown_timeout ("],
        ),
    ]);
}

#[test]
fn texts_that_can_t_be_used_are_refused_with_name_place_and_form() {
    assert_refused([
        (
            config().application_name(""),
            &["application_name (", "1 to 63"],
        ),
        (
            config().application_name("x".repeat(64)),
            &["application_name ("],
        ),
        (config().application_name("é"), &["application_name ("]),
        (config().sslrootcert(""), &["sslrootcert (", "PEM"]),
        (config().url(""), &["url (", "empty"]),
        (
            config().redis_url("http://h"),
            &["redis_url (", "rediss://"],
        ),
    ]);
}

#[test]
fn settings_that_contradict_each_other_are_refused_with_both_names() {
    let lanes = config().connections_max(2).advanced(|it| it.lanes(2));
    let acquire = config().acquire_timeout(Duration::from_secs(31));
    assert_refused([
        (
            lanes,
            &["advanced.lanes (", "less than connections_max, which is 2"],
        ),
        (
            acquire,
            &["acquire_timeout (", "is 31s", "query_timeout, which is 30s"],
        ),
    ]);
}

const VARIABLES: &[(&str, &str, Parts)] = &[
    (
        "AQUIFER_CONNECTIONS_MAX",
        "ten",
        &["connections_max", "from 1 to 10000", "digits"],
    ),
    ("AQUIFER_CONNECTIONS_MAX", "", &["is empty"]),
    ("AQUIFER_CONNECTIONS_MAX", "-1", &["whole number"]),
    (
        "AQUIFER_CONNECTIONS_MAX",
        "99999999999",
        &["from 1 to 10000"],
    ),
    ("AQUIFER_CONNECTIONS_MAX", "0", &["is 0"]),
    (
        "AQUIFER_ACQUIRE_TIMEOUT",
        "5",
        &["number without a unit", "5s"],
    ),
    (
        "AQUIFER_ACQUIRE_TIMEOUT",
        "5 seconds",
        &["a time from 1ms to 1h"],
    ),
    (
        "AQUIFER_ADVANCED_LANES",
        "9",
        &["advanced.lanes", "from 0 to 4"],
    ),
    ("AQUIFER_APPLICATION_NAME", " ", &["is empty"]),
    ("DATABASE_URL", "", &["url", "is empty"]),
    ("DATABASE_URL", "mysql://u@h/d", &["url", "postgresql://"]),
    (
        "DATABASE_URL",
        "jdbc:postgresql://h/d",
        &["url", "postgresql://"],
    ),
    (
        "DATABASE_URL",
        "postgresql://u@h?sslmod=x",
        &["url", "sslmode"],
    ),
    (
        "DATABASE_URL",
        "postgresql://u@h?connect_timeout=0",
        &["url", "connect_timeout"],
    ),
    ("REDIS_URL", "h:6379", &["redis_url", "scheme"]),
    (
        "AQUIFER_CONECTIONS_MAX",
        "1",
        &["did you mean AQUIFER_CONNECTIONS_MAX?", "DATABASE_URL"],
    ),
    (
        "AQUIFER_LANES",
        "1",
        &["did you mean AQUIFER_ADVANCED_LANES?"],
    ),
    ("AQUIFER_DATABASE_URL", "x", &["did you mean DATABASE_URL?"]),
    ("AQUIFER_", "x", &["is unknown", "known are"]),
    ("PGPORT", "x", &["port"]),
    ("PGSERVICE", "x", &["not supported"]),
];

#[test]
fn variables_are_refused_with_their_name_and_the_remedy() {
    for (variable, text, parts) in VARIABLES {
        let mut variables = vec![(*variable, *text)];
        if *variable != "DATABASE_URL" {
            variables.push(("DATABASE_URL", URL));
        }
        let refused = refusal(from_environment(&variables));
        for part in parts.iter().chain([variable]) {
            assert!(refused.contains(part), "{part:?} is not in {refused:?}");
        }
    }
}

#[test]
#[cfg(unix)]
fn a_variable_that_is_not_utf_8_is_refused_if_it_is_ours() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::super::environment::Environment;

    let bytes = || OsString::from_vec(vec![0xff]);
    let variables = |name: &str| Environment::new([(OsString::from(name), bytes())]);
    let refused = refusal(Config::new().with_environment(&variables("DATABASE_URL")));
    assert!(refused.contains("DATABASE_URL"), "{refused}");
    Config::new().with_environment(&variables("PATH")).unwrap();
    let nameless = Environment::new([(bytes(), bytes())]);
    Config::new().with_environment(&nameless).unwrap();
}

const FILES: &[(&str, u32, Parts)] = &[
    (
        "\nconnections_max = \"ten\"",
        2,
        &["connections_max", "is a text", "without quotes"],
    ),
    ("connections_max = 1.5", 1, &["a number with a fraction"]),
    (
        "connections_max = -1",
        1,
        &["out of range", "from 1 to 10000"],
    ),
    (
        "connections_max = 99999999999999999999",
        1,
        &["out of range"],
    ),
    ("connections_max = 0", 1, &["is 0", "from 1 to 10000"]),
    ("connections_max = true", 1, &["true or false"]),
    (
        "\n\nacquire_timeout = 5",
        3,
        &["acquire_timeout", "a whole number", "\"5s\""],
    ),
    ("acquire_timeout = \"5\"", 1, &["number without a unit"]),
    ("acquire_timeout = 07:32:00", 1, &["a date or time of day"]),
    (
        "url = [\"a\"]",
        1,
        &["url", "is a list", "a text in quotes"],
    ),
    ("url = { host = \"a\" }", 1, &["is a section"]),
    ("url = \"\"", 1, &["is empty"]),
    ("url = \"postgresql://h:x\"", 1, &["port"]),
    ("redis_url = \"x\"", 1, &["redis_url", "scheme"]),
    ("advanced = 1", 1, &["advanced", "is unknown"]),
    (
        "[advanced]\nlanes = 9",
        2,
        &["advanced.lanes", "from 0 to 4"],
    ),
    (
        "[advanced]\nlane = 1",
        2,
        &["did you mean lanes in the section [advanced]?"],
    ),
    (
        "lanes = 1",
        1,
        &["did you mean lanes in the section [advanced]?"],
    ),
    (
        "[advanced]\nurl = \"x\"",
        2,
        &["did you mean url, before any section?"],
    ),
    (
        "conections_max = 1",
        1,
        &["did you mean connections_max, before any section?"],
    ),
    (
        "[pool]\nsize = 1",
        1,
        &["pool", "is unknown", "known are: url,"],
    ),
    ("url = \n", 1, &["is no TOML"]),
    ("\nurl = unquoted", 2, &["is no TOML", "quoted"]),
    (
        "connections_max = 1\nconnections_max = 2",
        2,
        &["is no TOML"],
    ),
];

#[test]
fn a_file_is_refused_with_its_line_the_kind_it_has_and_the_remedy() {
    for (text, line, parts) in FILES {
        let file = TemporaryFile::new(text);
        let config = Config::from_file(file.path());
        let config = config.and_then(|config| {
            config.with_environment(&environment(&[("PGHOST", "h"), ("PGUSER", "u")]))
        });
        let refused = refusal(config);
        let place = format!("{}:{line}", file.name());
        for part in parts.iter().copied().chain([place.as_str()]) {
            assert!(
                refused.contains(part),
                "{part:?} is not in {refused:?} of {text:?}"
            );
        }
    }
}

#[test]
fn numbers_of_a_file_may_be_written_as_toml_writes_them() {
    for (text, number) in [
        ("1_000", "1000"),
        ("+7", "7"),
        ("0x10", "16"),
        ("0b11", "3"),
    ] {
        let config = from_file(&format!("connections_max = {text}")).unwrap();
        assert_eq!(super::value(&config, "connections_max"), number, "{text}");
    }
}

#[test]
fn a_file_that_can_t_be_read_is_refused_with_its_name_and_cause() {
    let error = Config::from_file("/nonexistent/aquifer.toml").unwrap_err();
    assert!(
        error.to_string().contains("/nonexistent/aquifer.toml"),
        "{error}"
    );
    assert!(std::error::Error::source(&error).is_some());
    let file = TemporaryFile::new([0xff, 0xfe]);
    assert!(
        Config::from_file(file.path())
            .unwrap_err()
            .to_string()
            .contains(&file.name())
    );
}

#[test]
fn without_any_server_the_refusal_says_where_to_name_one() {
    let refused = refusal(Ok(Config::new()));
    assert!(
        refused.contains("DATABASE_URL") && refused.contains("aquifer.toml"),
        "{refused}"
    );
}

#[test]
fn a_url_that_can_t_be_read_is_refused_on_reading_by_from_url_and_on_checking_by_the_builder() {
    let bad = || Secret::from("postgresql://h:port");
    assert!(Config::from_url(bad()).is_err());
    let config = Config::new().url(bad());
    assert_eq!(super::value(&config, "url"), "(can't be read)");
    assert!(refusal(Ok(config)).contains("port"));
}

#[test]
fn what_the_wire_refuses_is_refused() {
    for (url, part) in [
        ("postgresql://h", "user is not set"),
        ("postgresql://u@h?sslcert=/x", "sslkey"),
        ("postgresql://u@h1,h2?hostaddr=::1", "hostaddr"),
    ] {
        let refused = refusal(Ok(Config::new().url(url)));
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn a_text_without_a_scheme_is_told_of_it() {
    for text in [
        "localhost/app",
        "localhost:5432/app",
        "postgres:/localhost/app",
        "postgres//localhost/app",
        "postgress://localhost/app",
    ] {
        let refused = refusal(Config::from_url(text));
        assert!(
            refused.contains("must begin with postgresql://"),
            "{refused}"
        );
    }
}
