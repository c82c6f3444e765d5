use std::path::Path;
use std::time::Duration;

use aquifer_wire::Secret;

use super::super::knob;
use super::{
    Config, Origin, TemporaryFile, environment, from_environment, from_file, origin, value,
};

const URL: &str = "postgresql://app@db/shop";

#[test]
fn a_url_is_enough_and_the_rest_has_defaults() {
    let settings = Config::from_url(URL).unwrap().check().unwrap();
    assert_eq!(settings.connections_max, 10);
    assert_eq!(settings.lanes, 2);
    assert_eq!(settings.waiters_max, 1000);
    assert_eq!(settings.attempts_max, 3);
    assert_eq!(settings.acquire_timeout, Duration::from_secs(5));
    assert_eq!(settings.query_timeout, Duration::from_secs(30));
    assert_eq!(settings.commit_timeout, Duration::from_secs(30));
    assert_eq!(settings.shutdown_timeout, Duration::from_secs(10));
    assert_eq!(settings.slow_query_threshold, Duration::from_secs(1));
    assert_eq!(settings.metrics_interval, Duration::from_secs(60));
    assert_eq!(settings.statements_max, 256);
    assert_eq!(settings.requests_max, 4096);
    assert_eq!(settings.message_max, 1 << 30);
    assert!(settings.password.is_none() && settings.observers.is_empty());
    assert_eq!(settings.wire.get("connect_timeout").unwrap(), "5");
    assert_eq!(settings.wire.get("application_name").unwrap(), "aquifer");
    assert_eq!(settings.wire.get("host").unwrap(), "db");
}

#[test]
fn the_builder_sets_every_setting() {
    let second = Duration::from_secs(1);
    let settings = Config::new()
        .url("user=app host=db,replica")
        .redis_url("redis://cache")
        .connections_max(9)
        .acquire_timeout(second)
        .query_timeout(2 * second)
        .connect_timeout(3 * second)
        .application_name("shop")
        .sslrootcert("/etc/ssl/db.pem")
        .advanced(|advanced| {
            advanced
                .lanes(4)
                .waiters_max(5)
                .attempts_max(6)
                .commit_timeout(7 * second)
                .shutdown_timeout(8 * second)
                .slow_query_threshold(11 * second)
                .metrics_interval(12 * second)
                .statements_max(9)
                .requests_max(10)
                .message_max(65_536)
        })
        .check()
        .unwrap();
    assert_eq!(settings.connections_max, 9);
    assert_eq!(settings.acquire_timeout, second);
    assert_eq!(settings.query_timeout, 2 * second);
    assert_eq!(settings.wire.get("connect_timeout").unwrap(), "3");
    assert_eq!(settings.wire.get("application_name").unwrap(), "shop");
    assert_eq!(settings.wire.get("sslrootcert").unwrap(), "/etc/ssl/db.pem");
    assert_eq!(settings.lanes, 4);
    assert_eq!(settings.waiters_max, 5);
    assert_eq!(settings.attempts_max, 6);
    assert_eq!(settings.commit_timeout, 7 * second);
    assert_eq!(settings.shutdown_timeout, 8 * second);
    assert_eq!(settings.slow_query_threshold, 11 * second);
    assert_eq!(settings.metrics_interval, 12 * second);
    assert_eq!(settings.statements_max, 9);
    assert_eq!(settings.requests_max, 10);
    assert_eq!(settings.message_max, 65_536);
}

/// Each knob with a value that is not its default, as it is listed and as a file writes it.
fn sample(knob: knob::AnyKnob) -> (&'static str, String) {
    let shown = match (knob.name(), knob) {
        ("url", _) => "postgresql://sample@db/shop",
        ("redis_url", _) => "redis://cache:1/2",
        ("advanced.lanes", _) => "1",
        ("advanced.message_max", _) => "70000",
        (_, knob::AnyKnob::Count(_)) => "77",
        ("acquire_timeout", _) => "4s",
        (_, knob::AnyKnob::Time(_)) => "7m",
        (_, knob::AnyKnob::Text(_)) => "sample",
    };
    match knob {
        knob::AnyKnob::Count(_) => (shown, shown.to_owned()),
        _ => (shown, format!("\"{shown}\"")),
    }
}

#[test]
fn every_knob_can_be_set_by_its_variable() {
    for knob in knob::ALL {
        let (shown, _) = sample(knob);
        let variable = knob.variable();
        let config = from_environment(&[(&variable, shown)]).unwrap();
        assert_eq!(value(&config, knob.name()), shown, "{variable}");
        assert_eq!(origin(&config, knob.name()), variable);
    }
}

#[test]
fn every_knob_can_be_set_in_a_file_and_remembers_its_line() {
    for (section, position) in [("", 1), ("[advanced]\n", 2)] {
        for knob in knob::ALL {
            let advanced = knob.name().strip_prefix("advanced.");
            let name = match (section, advanced) {
                ("", None) => knob.name(),
                ("", Some(_)) | (_, None) => continue,
                (_, Some(name)) => name,
            };
            let (shown, written) = sample(knob);
            let file = TemporaryFile::new(format!("{section}\n# why\n{name} = {written}\n"));
            let config = Config::from_file(file.path()).unwrap();
            assert_eq!(value(&config, knob.name()), shown, "{name}");
            let line = position + 2;
            assert_eq!(
                origin(&config, knob.name()),
                format!("{}:{line}", file.name())
            );
        }
    }
}

#[test]
fn code_wins_over_environment_over_file_over_default() {
    let file =
        TemporaryFile::new("connections_max = 20\n[advanced]\nlanes = 1\nattempts_max = 5\n");
    let variables = [
        ("AQUIFER_CONFIG", file.name()),
        ("AQUIFER_CONNECTIONS_MAX", "30".to_owned()),
        ("AQUIFER_ADVANCED_LANES", "3".to_owned()),
        ("AQUIFER_PG_BIN", "/opt/pg/bin".to_owned()),
    ];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let config = Config::load_with(&environment(&variables), Path::new("/nonexistent")).unwrap();
    let config = config.connections_max(40);
    let line = line!() - 1;
    assert_eq!(value(&config, "connections_max"), "40");
    assert_eq!(
        origin(&config, "connections_max"),
        format!("{}:{line}", file!())
    );
    assert_eq!(value(&config, "advanced.lanes"), "3");
    assert_eq!(origin(&config, "advanced.lanes"), "AQUIFER_ADVANCED_LANES");
    assert_eq!(value(&config, "advanced.attempts_max"), "5");
    assert_eq!(
        origin(&config, "advanced.attempts_max"),
        format!("{}:4", file.name())
    );
    assert_eq!(value(&config, "query_timeout"), "30s");
    assert_eq!(origin(&config, "query_timeout"), "default");
}

#[test]
fn loading_reads_the_usual_file_only_if_it_is_there_and_no_other_is_named() {
    let usual = TemporaryFile::new("connections_max = 20");
    let other = TemporaryFile::new("connections_max = 30");
    let (usual, name) = (usual.path(), other.name());
    let loaded = |variables: &[(&str, &str)], usual: &Path| {
        Config::load_with(&environment(variables), usual).map(|it| value(&it, "connections_max"))
    };
    assert_eq!(loaded(&[], usual).unwrap(), "20");
    assert_eq!(loaded(&[], Path::new("/nonexistent")).unwrap(), "10");
    assert_eq!(loaded(&[("AQUIFER_CONFIG", &name)], usual).unwrap(), "30");
    let missing = loaded(&[("AQUIFER_CONFIG", "/nonexistent")], usual).unwrap_err();
    assert!(missing.to_string().contains("/nonexistent"), "{missing}");
    assert!(loaded(&[("AQUIFER_CONFIG", "")], usual).is_err());
}

#[test]
fn a_parameter_of_the_url_ranks_as_its_url_and_the_knob_of_the_same_source_before_it() {
    let with = "postgresql://app@db/shop?application_name=in-url&connect_timeout=0.5";
    let file = |rest: &str| from_file(&format!("url = \"{URL}\"\n{rest}")).unwrap();
    let name = |config: &Config| value(config, "application_name");

    let config = Config::from_url(with).unwrap();
    assert_eq!(
        (name(&config), origin(&config, "application_name")),
        owned("in-url", "url")
    );
    assert_eq!(value(&config, "connect_timeout"), "500ms");
    assert_eq!(
        config.check().unwrap().wire.get("connect_timeout").unwrap(),
        "0.5"
    );

    let config = config
        .application_name("knob")
        .connect_timeout(Duration::from_secs(2));
    assert_eq!(name(&config), "knob");
    assert_eq!(
        config.check().unwrap().wire.get("connect_timeout").unwrap(),
        "2"
    );

    let config = file("application_name = \"knob\"\nconnect_timeout = \"2s\"");
    let config = config
        .with_environment(&environment(&[("DATABASE_URL", with)]))
        .unwrap();
    assert_eq!(name(&config), "in-url");
    let wire = config.check().unwrap().wire;
    assert_eq!(wire.get("application_name").unwrap(), "in-url");
    assert_eq!(wire.get("connect_timeout").unwrap(), "0.5");

    let variables = [("DATABASE_URL", with), ("AQUIFER_APPLICATION_NAME", "knob")];
    assert_eq!(name(&from_environment(&variables).unwrap()), "knob");
}

fn owned(value: &str, origin: &str) -> (String, String) {
    (value.to_owned(), origin.to_owned())
}

#[test]
fn variables_of_libpq_fill_in_what_nothing_else_sets() {
    let variables = [
        ("DATABASE_URL", "postgresql://db/shop"),
        ("PGHOST", "elsewhere"),
        ("PGPASSWORD", "canary"),
        ("PGAPPNAME", "from-libpq"),
        ("PGCONNECT_TIMEOUT", "7"),
        ("PGSSLMODE", "require"),
        ("PGUSER", ""),
        ("USER", "me"),
    ];
    let config = from_environment(&variables).unwrap();
    let cases = [
        ("url", "postgresql://db/shop", "DATABASE_URL"),
        ("user", "me", "USER"),
        ("password", "***", "PGPASSWORD"),
        ("sslmode", "require", "PGSSLMODE"),
        ("application_name", "from-libpq", "PGAPPNAME"),
        ("connect_timeout", "7s", "PGCONNECT_TIMEOUT"),
    ];
    for (name, shown, variable) in cases {
        let found = (value(&config, name), origin(&config, name));
        assert_eq!(found, owned(shown, variable), "{name}");
    }
    assert!(config.values().all(|(name, _, _)| name != "host"));
    let wire = config.check().unwrap().wire;
    assert_eq!(wire.get("host").unwrap(), "db");
    assert_eq!(wire.get("application_name").unwrap(), "from-libpq");

    let file = from_file("application_name = \"mine\"").unwrap();
    let config = file.with_environment(&environment(&variables)).unwrap();
    assert_eq!(value(&config, "application_name"), "mine");
    assert_eq!(
        config
            .check()
            .unwrap()
            .wire
            .get("application_name")
            .unwrap(),
        "mine"
    );
}

#[test]
fn a_host_from_libpq_does_without_a_url() {
    let config = from_environment(&[("PGHOST", "db"), ("PGUSER", "app")]).unwrap();
    assert_eq!(config.check().unwrap().wire.get("host").unwrap(), "db");
    assert!(
        from_environment(&[("PGUSER", "app")])
            .unwrap()
            .check()
            .is_err()
    );
}

#[test]
fn defaults_follow_the_knobs_that_bound_them() {
    for (connections_max, lanes) in [(1, 0), (2, 1), (3, 1), (4, 2), (100, 2)] {
        let config = Config::from_url(URL)
            .unwrap()
            .connections_max(connections_max);
        assert_eq!(config.check().unwrap().lanes, lanes, "{connections_max}");
        assert_eq!(value(&config, "advanced.lanes"), lanes.to_string());
        assert_eq!(origin(&config, "advanced.lanes"), "default");
    }
    let config = Config::from_url(URL)
        .unwrap()
        .query_timeout(Duration::from_secs(2));
    assert_eq!(
        config.check().unwrap().acquire_timeout,
        Duration::from_secs(2)
    );
    assert_eq!(value(&config, "acquire_timeout"), "2s");
}

#[test]
fn the_fallback_name_of_a_url_comes_before_ours() {
    let config = Config::from_url(format!("{URL}?fallback_application_name=psql")).unwrap();
    assert_eq!(value(&config, "application_name"), "psql");
    assert_eq!(
        config
            .check()
            .unwrap()
            .wire
            .get("application_name")
            .unwrap(),
        "psql"
    );
}

#[test]
fn a_password_provider_is_listed_and_kept() {
    let config = Config::from_url(URL)
        .unwrap()
        .password_provider(|| async { Ok(Secret::from("canary")) });
    assert!(matches!(
        super::listed(&config, "password_provider").1,
        Origin::Code { .. }
    ));
    let provider = config.check().unwrap().password.unwrap();
    let answer = provider();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Ok(password)) = std::pin::pin!(answer).poll(&mut context) else {
        panic!("the provider did not answer");
    };
    assert_eq!(password.reveal(), "canary");
}

#[test]
fn a_url_alone_is_completed_by_the_variables_of_libpq_and_no_others() {
    let variables = environment(&[
        ("USER", "os-user"),
        ("PGPASSWORD", "canary"),
        ("PGPORT", "5433"),
        ("DATABASE_URL", "postgresql://other/other"),
        ("AQUIFER_CONNECTIONS_MAX", "3"),
    ]);
    let config = Config::new().url("postgres://localhost/app");
    assert!(config.check().is_err(), "no user by itself");
    let config = config.completed_by(&variables).unwrap();
    let wire = config.check().unwrap().wire;
    let keys = ["user", "password", "host", "port", "dbname"];
    assert_eq!(
        keys.map(|key| wire.get(key).unwrap()),
        ["os-user", "***", "localhost", "5433", "app"]
    );
    assert_eq!(origin(&config, "user"), "USER");
    assert_eq!(value(&config, "connections_max"), "10");
    let explicit = Config::new().url("postgres://u:p@localhost:1/app");
    let explicit = explicit.completed_by(&variables).unwrap();
    let wire = explicit.check().unwrap().wire;
    assert_eq!(wire.get("user").unwrap(), "u");
    assert_eq!(wire.get("port").unwrap(), "1");
}
