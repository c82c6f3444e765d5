use super::{Config, TemporaryFile, from_environment};
use crate::Error;

/// A password that no text may show, in the forms in which it can be written.
const CANARY: &str = "canary";
const ENCODED: &str = "c%61nary";

fn assert_hidden(text: &str, of: &str) {
    let lower = text.to_lowercase();
    assert!(
        !lower.contains(CANARY) && !lower.contains(ENCODED),
        "{text}\nshows the secret of {of}"
    );
}

/// Looks at everything that a configuration, or its refusal, can be made to say.
fn assert_config_hides(config: &Result<Config, Error>, of: &str) {
    match config {
        Ok(config) => {
            assert_hidden(&format!("{config:?} {config:#?}"), of);
            let config = config.clone().advanced(|advanced| {
                assert_hidden(&format!("{advanced:?}"), of);
                advanced
            });
            for (name, value, origin) in config.values() {
                assert_hidden(&format!("{name} {value} {origin} {origin:?}"), of);
            }
            if let Err(error) = config.validate() {
                assert_error_hides(&error, of);
            }
        }
        Err(error) => assert_error_hides(error, of),
    }
}

fn assert_error_hides(error: &Error, of: &str) {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        assert_hidden(&format!("{error} {error:?} {error:#?}"), of);
        cause = error.source();
    }
}

const DATABASES: [&str; 27] = [
    "postgresql://u:canary@h/d",
    "postgresql://u:c%61nary@h/d",
    "postgresql://:canary@h/d",
    "postgresql://u@h/d?password=canary",
    "postgresql://u@h/d?password=c%61nary&password=canary",
    "user=u host=h password=canary",
    "user=u host=h password='canary",
    "user=u host=h password=can ary canary",
    "postgresql://u:can@canary@h/d",
    "postgresql://u:p@ss,canary@h/d",
    "postgresql://u:p@canary/ss@h/d",
    "postgresql://u:p@canary:1@h/d",
    "postgresql://u:1/canary@h/d",
    "postgresql://u:canary%@h/d",
    "postgresql://u:canary%zz@h/d",
    "postgresql://u:canary%FF@h/d",
    "postgresql://u:canary%00@h/d",
    "postgresql://u:pass#canary@h/d",
    "postgresql://u:?canary@h/d",
    "postgresql://u@h:canary/d",
    "postgresql://u@[canary/d",
    "postgresql://u@h/d?sslmode=canary",
    "postgresql://u@h/d?canary=1",
    "mysql://u:canary@h/d",
    "canary://h",
    "canary",
    "canary=1",
];

const CACHES: [&str; 14] = [
    "redis://u:canary@h",
    "redis://u:c%61nary@h:1/0",
    "redis://:canary@h",
    "redis://canary@h",
    "redis+unix:///s?pass=canary",
    "redis+unix:///s?password=canary",
    "redis://u:can@canary@h",
    "redis://u:1/canary@h",
    "redis://u:?canary@h",
    "redis://u:#canary@h",
    "redis://u:canary%zz@h",
    "redis://h?canary=1",
    "redis://h:canary",
    "canary",
];

#[test]
fn no_url_shows_its_password() {
    for url in DATABASES {
        assert_config_hides(&Config::from_url(url), url);
        assert_config_hides(&Ok(Config::new().url(url)), url);
        assert_config_hides(
            &from_environment(&[("DATABASE_URL", url), ("PGUSER", "u")]),
            url,
        );
        let file = TemporaryFile::new(format!("url = '''{url}'''"));
        assert_config_hides(&Config::from_file(file.path()), url);
    }
    for url in CACHES {
        let config = || Config::from_url("postgresql://u@h/d").unwrap();
        assert_config_hides(&Ok(config().redis_url(url)), url);
        assert_config_hides(&from_environment(&[("REDIS_URL", url)]), url);
        let file = TemporaryFile::new(format!("redis_url = '''{url}'''"));
        assert_config_hides(&Config::from_file(file.path()), url);
    }
}

#[test]
fn no_variable_shows_its_value() {
    let url = ("DATABASE_URL", "postgresql://u@h/d");
    for variable in [
        "PGPASSWORD",
        "PGPORT",
        "PGSSLMODE",
        "PGHOSTADDR",
        "PGSERVICE",
        "AQUIFER_CONNECTIONS_MAX",
        "AQUIFER_ACQUIRE_TIMEOUT",
        "AQUIFER_ADVANCED_LANES",
        "AQUIFER_UNKNOWN",
        "AQUIFER_PG_BIN",
    ] {
        assert_config_hides(&from_environment(&[url, (variable, CANARY)]), variable);
    }
}

#[test]
fn no_file_shows_a_value_in_the_wrong_place() {
    for text in [
        "url = postgresql://u:canary@h/d",
        "url = \"postgresql://u:canary@h/d",
        "url = 'postgresql://u:canary@h/d'x",
        "url = \"\\canary\"",
        "url = [\"canary\"]",
        "url = { password = \"canary\" }",
        "connections_max = \"canary\"",
        "acquire_timeout = \"canary\"",
        "connections_max = 1\nurl = 'canary'\nurl = 'canary'",
        "[advanced]\nlanes = \"canary\"",
        "[advanced\nlanes = \"canary\"",
        "postgresql://u:canary@h/d",
        "pass = 'canary'",
        "[[advanced]]\nlanes = 'canary'",
    ] {
        let file = TemporaryFile::new(text);
        let config = Config::from_file(file.path());
        assert!(config.is_err(), "{text}");
        assert_config_hides(&config, text);
    }
}

#[test]
fn the_password_reaches_the_wire_all_the_same() {
    let settings = Config::from_url("postgresql://u:c%61nary@h/d")
        .unwrap()
        .check()
        .unwrap();
    let expected = "user=u password=canary host=h dbname=d application_name=aquifer \
                    connect_timeout=5";
    assert_eq!(settings.wire, expected.parse().unwrap());
}
