//! `aquifer demo` on a server that `DATABASE_URL` names.

use std::env;
use std::sync::{Mutex, PoisonError};

use aquifer_testkit::Postgres;

use crate::{Directory, Run};

/// It measures, so two at once would be in each other's way.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn demo(url: &str) -> Run {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // By which it finds `redis-server`.
    let path = env::var("PATH").unwrap();
    let variables = [("DATABASE_URL", url), ("PATH", path.as_str())];
    Directory::new().run(&["demo", "--once"], &variables)
}

fn schemas(url: &str) -> String {
    let found = "select count(*) from pg_namespace where nspname like 'aquifer%'";
    Postgres::shared().psql_at(url, found).unwrap()
}

#[test]
fn all_steps_hold_and_nothing_is_left() {
    let database = Postgres::shared().create_database();
    let run = demo(&database.url);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("17 of 17 steps hold"), "{}", run.stdout);
    assert!(run.stdout.contains("Redis has returned"), "{}", run.stdout);
    assert_eq!(schemas(&database.url).trim(), "0");
    for line in run.stdout.lines() {
        assert!(
            line.chars().count() <= 100,
            "too wide for a terminal: {line}"
        );
        assert!(
            !line.contains('\u{1b}'),
            "colours without a terminal: {line}"
        );
    }
}

#[test]
fn a_step_that_fails_is_told_and_the_schema_is_removed_all_the_same() {
    let database = Postgres::shared().create_database();
    let forbid = format!(
        "create role visitor login; \
         grant create, connect on database {} to visitor; \
         revoke execute on function pg_terminate_backend from public",
        database.name
    );
    Postgres::shared().psql_at(&database.url, &forbid).unwrap();
    let url = database.url.replace("//postgres@", "//visitor@");
    let run = demo(&url);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    for part in [
        "permission denied for function pg_terminate_backend",
        "16 of 17 steps hold",
        "is removed",
    ] {
        assert!(
            run.stdout.contains(part),
            "{part} is not in: {}",
            run.stdout
        );
    }
    assert_eq!(schemas(&database.url).trim(), "0");
}

#[test]
fn a_server_that_is_away_is_told_with_its_cause() {
    let run = demo("postgres://visitor:secret@127.0.0.1:1/nowhere");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    for part in ["Connection refused", "16 not made", "nothing was made"] {
        assert!(
            run.stdout.contains(part),
            "{part} is not in: {}",
            run.stdout
        );
    }
    assert!(!run.stdout.contains("secret"), "{}", run.stdout);
}
