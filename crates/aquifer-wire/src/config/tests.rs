use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{Config, Host, RequireAuth, SslMode, TargetSessionAttrs};
use crate::{Error, Kind};

fn config(text: &str) -> Config {
    text.parse().unwrap()
}

fn refusal(text: &str) -> String {
    let error: Error = match text.parse::<Config>() {
        Ok(config) => config.targets().unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), Kind::Config);
    error.to_string()
}

fn addresses(text: &str) -> Vec<String> {
    let targets = config(text).targets().unwrap();
    targets.iter().map(ToString::to_string).collect()
}

fn environment(input: &str, variables: &[(&str, &str)]) -> Result<Config, Error> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Config::with_environment(input, |name| variables.get(name).map(ToString::to_string))
}

#[test]
fn hosts_ports_and_addresses_pair_up() {
    let cases: &[(&str, &[&str])] = &[
        ("user=u host=a", &["a:5432"]),
        ("user=u host=a,b port=1", &["a:1", "b:1"]),
        ("user=u host=a,b port=1,2", &["a:1", "b:2"]),
        ("postgres://u@a,b:2", &["a:5432", "b:2"]),
        ("postgres://u@[::1]:7,c", &["[::1]:7", "c:5432"]),
        ("user=u host=::1", &["[::1]:5432"]),
        (
            "user=u hostaddr=10.0.0.1,::1",
            &["10.0.0.1:5432", "[::1]:5432"],
        ),
        ("user=u host=a hostaddr=10.0.0.1", &["a:5432"]),
        ("user=u host=/run/x port=9", &["/run/x/.s.PGSQL.9"]),
        ("postgres://u@%2Frun%2Fx", &["/run/x/.s.PGSQL.5432"]),
        (
            "postgres://u@/d?host=/run/x,h",
            &["/run/x/.s.PGSQL.5432", "h:5432"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(&addresses(text), expected, "{text}");
        let apart = config(text).hosts_apart().unwrap();
        let targets = apart.iter().map(|alone| alone.targets().unwrap());
        let targets: Vec<_> = targets.flatten().collect();
        assert_eq!(targets, config(text).targets().unwrap(), "{text}");
    }
}

#[test]
fn without_a_host_it_is_a_socket_directory_or_localhost() {
    let targets = config("user=u port=49999").targets().unwrap();
    let [target] = targets.as_slice() else {
        panic!("{targets:?}");
    };
    assert!(target.is_local());
}

#[test]
fn the_default_of_sslmode_depends_on_the_place() {
    let mode = |text: &str| {
        let config = config(text);
        let targets = config.targets().unwrap();
        config.sslmode_for(&targets[0])
    };
    for local in [
        "localhost",
        "LOCALHOST",
        "127.8.9.1",
        "::1",
        "/tmp",
        "::ffff:127.0.0.1",
    ] {
        assert_eq!(
            mode(&format!("user=u host={local}")),
            SslMode::Prefer,
            "{local}"
        );
    }
    for remote in [
        "db",
        "10.0.0.1",
        "localhost.example.com",
        "128.0.0.1",
        "fe80::1",
    ] {
        assert_eq!(
            mode(&format!("user=u host={remote}")),
            SslMode::VerifyFull,
            "{remote}"
        );
    }
    assert_eq!(
        mode("user=u host=localhost hostaddr=10.0.0.1"),
        SslMode::VerifyFull
    );
    assert_eq!(mode("user=u host=db hostaddr=127.0.0.1"), SslMode::Prefer);
    assert_eq!(mode("user=u host=db sslmode=require"), SslMode::Require);
    assert_eq!(
        mode("user=u host=localhost sslrootcert=system"),
        SslMode::VerifyFull
    );
}

#[test]
fn a_refusal_names_the_key_and_never_the_value() {
    let cases = [
        ("host=a", "user is not set"),
        ("user=u canary=1", "known are: host"),
        ("user=u port=canary", "port must be"),
        ("user=u port=65536", "port must be"),
        ("user=u port=0", "port must be"),
        ("user=u port=+1", "port must be"),
        ("user=u host=a,b port=1,2,3", "port has 3 entries"),
        ("user=u host=a,b hostaddr=::1", "hostaddr has 1 entries"),
        ("user=u hostaddr=canary", "hostaddr must be"),
        ("user=u host='can ary'", "host must be"),
        ("postgres://u:pass@canary@h/d", "host must be"),
        ("postgres://u:p@h:canary@h/d", "port must be"),
        ("postgres://u:1/canary@h/d", "after the host"),
        ("user=u sslmode=canary", "verify-full"),
        ("user=u connect_timeout=canary", "connect_timeout must be"),
        ("user=u connect_timeout=0", "connect_timeout must be"),
        ("user=u connect_timeout=-1", "connect_timeout must be"),
        ("user=u connect_timeout=inf", "connect_timeout must be"),
        ("user=u keepalives=canary", "keepalives must be 0 or 1"),
        ("user=u keepalives_idle=canary", "keepalives_idle must be"),
        (
            "user=u client_encoding=LATIN1",
            "client_encoding must be UTF8",
        ),
        ("user=u gssencmode=require", "gssencmode must be"),
        ("user=u service=canary", "service is not supported"),
        ("postgres://u@h?ssl=true", "sslmode=verify-full"),
        ("user=u dbname='a\0canary'", "dbname has a NUL"),
        ("postgres://u%00canary@h", "user has a NUL"),
        ("user=u sslcert=canary", "sslcert and sslkey"),
        (
            "user=u sslrootcert=system sslmode=require",
            "sslmode=verify-full",
        ),
        ("user=u sslnegotiation=direct", "sslmode=require"),
        (
            "user=u sslnegotiation=direct sslmode=prefer",
            "sslmode=require",
        ),
        (
            "user=u channel_binding=require sslmode=disable",
            "needs TLS",
        ),
        ("user=u require_auth=canary", "require_auth names"),
    ];
    for (text, expected) in cases {
        let refusal = refusal(text);
        assert!(refusal.contains(expected), "{text:?}: {refusal}");
        assert!(!refusal.contains("canary"), "{text:?}: {refusal}");
    }
}

#[test]
fn the_builder_is_checked_when_it_is_used() {
    let good = Config::new().user("u").host("h");
    assert!(good.targets().is_ok());
    for bad in [
        Config::new().host("h"),
        good.clone().user("u\0"),
        good.clone().password("p\0"),
        good.clone().dbname("\0"),
        good.clone().application_name("a\0user\0root"),
        good.clone().options("\0"),
        good.clone().host("a,b"),
        good.clone().host("/a\0"),
        good.clone().port(0),
        good.connect_timeout(Duration::ZERO),
    ] {
        assert_eq!(bad.targets().unwrap_err().kind(), Kind::Config, "{bad:?}");
    }
}

#[test]
fn an_explicit_value_wins_over_its_variable() {
    let variables = [
        ("PGHOST", "envhost"),
        ("PGPORT", "1"),
        ("PGUSER", "envuser"),
        ("PGPASSWORD", "canary"),
        ("PGSSLMODE", "nonsense"),
        ("PGTARGETSESSIONATTRS", "primary"),
        ("PGCONNECT_TIMEOUT", ""),
        ("USER", "os"),
    ];
    let config = environment("postgres://u@h/d?sslmode=require&port=", &variables).unwrap();
    assert_eq!(
        config.redacted().to_string(),
        "postgresql://u:***@h/d?sslmode=require&target_session_attrs=primary"
    );
    assert!(!format!("{config:?}").contains("canary"));
    let error = environment("", &variables).unwrap_err().to_string();
    assert!(error.starts_with("PGSSLMODE: sslmode must be"), "{error}");
}

#[test]
fn the_system_user_is_the_last_resort() {
    let user = |variables| environment("", variables).unwrap().get("user").unwrap();
    assert_eq!(user(&[("PGUSER", "pg"), ("USER", "os")]), "pg");
    assert_eq!(user(&[("USER", "os"), ("LOGNAME", "log")]), "os");
    assert_eq!(user(&[("LOGNAME", "log")]), "log");
    assert_eq!(user(&[]), "");
}

#[test]
fn variables_that_cannot_be_honoured_are_refused() {
    for variable in ["PGSERVICE", "PGSSLCRL", "PGREQUIREPEER"] {
        let error = environment("user=u", &[(variable, "canary")]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(variable) && !text.contains("canary"),
            "{text}"
        );
    }
    let config = environment("user=u", &[("PGPASSFILE", "x"), ("HOME", "/nowhere")]).unwrap();
    assert_eq!(config.get("passfile").unwrap(), "x");
    let config = environment("user=u", &[("HOME", "/nowhere")]).unwrap();
    assert_eq!(config.get("passfile").unwrap(), "");
}

#[test]
fn every_key_reads_back_what_was_set() {
    let values = [
        ("host", "a,b"),
        ("hostaddr", "10.0.0.1,::1"),
        ("port", "1,2"),
        ("user", "u"),
        ("passfile", "/p"),
        ("dbname", "d d"),
        ("sslmode", "verify-ca"),
        ("sslrootcert", "/r.pem"),
        ("sslcert", "/c.pem"),
        ("sslkey", "/k.pem"),
        ("sslnegotiation", "direct"),
        ("channel_binding", "require"),
        ("require_auth", "!md5,!password"),
        ("connect_timeout", "2.5"),
        ("application_name", "app"),
        ("fallback_application_name", "fallback"),
        ("options", "-c a=b"),
        ("target_session_attrs", "prefer-standby"),
        ("load_balance_hosts", "random"),
        ("keepalives", "1"),
        ("keepalives_idle", "30"),
        ("keepalives_interval", "5"),
        ("keepalives_count", "3"),
        ("tcp_user_timeout", "1500"),
    ];
    let mut built = Config::new();
    for (key, value) in values {
        built = built.set(key, value).unwrap();
        assert_eq!(built.get(key).unwrap(), value, "{key}");
    }
    assert_eq!(
        values.len() + 3,
        Config::keys().len(),
        "password, client_encoding, gssencmode"
    );
    assert!(built.targets().is_ok());
    assert_eq!(built, config(&built.redacted().to_string()));
    for key in Config::keys() {
        built = built.set(key, "").unwrap();
    }
    assert_eq!(built, Config::new());
    assert!(built.get("canary").is_err());
}

#[test]
fn the_password_is_nowhere_to_be_read() {
    let config = config("postgres://u:canary@h/d").password("canary2");
    let shown = format!(
        "{config:?} {} {}",
        config.redacted(),
        config.get("password").unwrap()
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn typed_setters_and_keys_are_the_same() {
    let typed = Config::new()
        .hosts(["a", "b"])
        .ports([1, 2])
        .user("u")
        .dbname("d")
        .sslmode(SslMode::VerifyCa)
        .sslrootcert("/r")
        .client_certificate("/c", "/k")
        .require_auth("!md5".parse::<RequireAuth>().unwrap())
        .connect_timeout(Duration::from_millis(1500))
        .target_session_attrs(TargetSessionAttrs::Standby)
        .keepalives(Some(Duration::from_secs(9)));
    let text = "host=a,b port=1,2 user=u dbname=d sslmode=verify-ca sslrootcert=/r sslcert=/c \
                sslkey=/k require_auth=!md5 connect_timeout=1.5 target_session_attrs=standby \
                keepalives=1 keepalives_idle=9";
    assert_eq!(typed, config(text));
    assert!(matches!(typed.targets().unwrap()[1].host, Host::Tcp { .. }));
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_or_show_itself(text in ".*") {
        for text in [text.clone(), format!("postgres://{text}")] {
            if let Ok(config) = text.parse::<Config>() {
                let _checked = config.targets();
            }
        }
    }

    #[test]
    fn text_of_the_right_shape_never_panics(
        text in "(postgres://)?[a-z:@/?&=%\\[\\],'\\\\ 0-9]{0,40}",
    ) {
        if let Ok(config) = text.parse::<Config>() {
            let _checked = config.targets();
        }
    }

    #[test]
    fn what_is_printed_reads_back_the_same(
        user in "[^\\x00]{1,9}",
        dbname in "[^\\x00]{0,9}",
        options in "[^\\x00]{0,9}",
        hosts in prop::collection::vec("(/[^\\x00, ]{1,9}[^\\x00, \t]|[a-z0-9.-]{1,9}|::1|fe80::1%eth0)", 0..4),
        port in prop::collection::vec(prop::option::of(1_u16..), 0..4),
    ) {
        let hosts: Vec<_> = hosts.iter().map(|host| host.trim().to_owned()).collect();
        let ports: Vec<_> = port.iter().map(|port| port.map_or(String::new(), |port| port.to_string())).collect();
        let built = Config::new()
            .set("user", &user).unwrap()
            .set("dbname", &dbname).unwrap()
            .set("options", &options).unwrap()
            .set("host", &hosts.join(",")).unwrap()
            .set("port", &ports.join(",")).unwrap();
        let url = built.redacted().to_string();
        prop_assert_eq!(&built, &config(&url), "{}", url);
    }

    #[test]
    fn a_password_survives_both_forms(password in "[^\\x00]{1,20}") {
        let text = format!("user=u password={}", quoted(&password));
        let expected = Config::new().user("u").password(password.clone());
        prop_assert_eq!(&config(&text), &expected);
        let url = format!("postgres://u:{}@", super::url::encode(&password));
        prop_assert_eq!(&config(&url), &expected);
    }
}
