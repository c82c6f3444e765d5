use aquifer_testkit::Postgres;
use serde_json::Value;

use super::{Directory, Run};

/// A directory with two migrations, and the URL of a database of its own.
fn prepared() -> (Directory, String) {
    let directory = Directory::new();
    directory.make("migrations");
    directory.write(
        "migrations/0001_users.up.sql",
        "create table users (id bigint);\n",
    );
    directory.write("migrations/0001_users.down.sql", "drop table users;\n");
    directory.write(
        "migrations/0002_by_id.up.sql",
        "-- no-transaction\ncreate index concurrently users_id on users (id);\n",
    );
    directory.write(
        "migrations/0002_by_id.down.sql",
        "-- no-transaction\ndrop index concurrently users_id;\n",
    );
    (directory, Postgres::shared().create_database().url)
}

fn run(directory: &Directory, url: &str, arguments: &[&str]) -> Run {
    let arguments: Vec<_> = ["migrate"].iter().chain(arguments).copied().collect();
    directory.run(&arguments, &[("DATABASE_URL", url)])
}

/// The values of one name in the objects of a JSON array.
fn values(run: &Run, name: &str) -> Vec<Value> {
    let array: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    array.iter().map(|object| object[name].clone()).collect()
}

#[test]
fn migrations_go_up_and_down_and_ci_can_tell() {
    let (directory, url) = prepared();
    let check = run(&directory, &url, &["check", "--json"]);
    assert_eq!(check.code, Some(3), "{}", check.stderr);
    assert!(check.stderr.contains("`aquifer migrate up`"));
    assert_eq!(values(&check, "state"), ["pending", "pending"]);

    let planned = run(&directory, &url, &["up", "--dry-run", "--json"]);
    assert_eq!(values(&planned, "transaction"), [true, false]);
    let shown = run(&directory, &url, &["up", "--dry-run"]);
    let first = "-- migrations/0001_users.up.sql: in a transaction of its own\n\
                 create table users (id bigint);\n";
    assert!(shown.stdout.starts_with(first), "{}", shown.stdout);

    let up = run(&directory, &url, &["up"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    assert!(up.stdout.starts_with("applied 1 users ("), "{}", up.stdout);
    assert!(up.stderr.contains("running migrations/0002_by_id.up.sql"));
    assert_eq!(run(&directory, &url, &["up"]).stdout, "nothing to do\n");
    assert_eq!(run(&directory, &url, &["check"]).code, Some(0));

    let down = run(&directory, &url, &["down", "--json"]);
    assert_eq!(values(&down, "version"), [2]);
    let status = run(&directory, &url, &["status"]);
    assert_eq!(
        status.stdout,
        "1               applied   users\n2               pending   by id\n"
    );
    let none = run(&directory, &url, &["down", "--to", "0"]);
    assert!(none.stdout.starts_with("reverted 1"), "{}", none.stdout);
}

#[test]
fn what_does_not_fit_exits_with_4_and_what_fails_with_1() {
    let (directory, url) = prepared();
    assert_eq!(run(&directory, &url, &["up", "--to", "7"]).code, Some(2));
    assert_eq!(run(&directory, &url, &["up"]).code, Some(0));
    directory.write("migrations/0001_users.up.sql", "create table people ();");
    for arguments in [&["up"][..], &["check"], &["up", "--dry-run"]] {
        let changed = run(&directory, &url, arguments);
        assert_eq!(changed.code, Some(4), "{arguments:?}: {}", changed.stderr);
        let place = "migration 1, migrations/0001_users.up.sql: ";
        assert!(changed.stderr.contains(place), "{}", changed.stderr);
    }

    let (directory, url) = prepared();
    directory.write("migrations/0003_bad.sql", "select 1;\nselect no;");
    let failed = run(&directory, &url, &["up"]);
    assert_eq!(failed.code, Some(1));
    assert!(
        failed.stderr.contains("migrations/0003_bad.sql:2"),
        "{}",
        failed.stderr
    );
}

#[test]
fn files_are_checked_without_a_database() {
    let (directory, _) = prepared();
    let arguments = ["migrate", "check", "--offline"];
    assert_eq!(directory.run(&arguments, &[]).code, Some(0));
    directory.write("migrations/0003_bad.sql", "select 1;\n\ncommit;");
    let refused = directory.run(&arguments, &[]);
    assert_eq!(refused.code, Some(4));
    assert!(
        refused.stderr.contains("migrations/0003_bad.sql:3"),
        "{}",
        refused.stderr
    );
    assert_eq!(Directory::new().run(&arguments, &[]).code, Some(4));
}

#[test]
fn a_new_migration_is_named_as_the_others_are() {
    let directory = Directory::new();
    let first = directory.run(&["migrate", "new", "add users"], &[]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let name = first.stdout.trim_end().strip_prefix("migrations/").unwrap();
    assert!(name.starts_with("20") && name.ends_with("_add_users.sql"));
    assert_eq!(name.len(), "20260101000000_add_users.sql".len());

    let (directory, _) = prepared();
    let next = directory.run(&["migrate", "new", "more"], &[]);
    assert_eq!(
        next.stdout,
        "migrations/0003_more.up.sql\nmigrations/0003_more.down.sql\n"
    );
    let wrong = directory.run(&["migrate", "new", "../more"], &[]);
    assert_eq!(wrong.code, Some(2));
}
