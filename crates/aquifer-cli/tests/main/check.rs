use aquifer_testkit::Postgres;
use serde_json::Value;

use super::{Directory, Run};

const MIGRATION: &str = include_str!("check/migrations/1_shop.sql");
/// One is broken, in two places, and one is sorted without an index.
const STATEMENTS: &str = include_str!("check/statements.jsonl");

/// A directory with what was collected, and the URL of a database with the schema.
fn prepared(statements: &str) -> (Directory, String) {
    let directory = Directory::new();
    directory.write("statements.jsonl", statements);
    let database = Postgres::shared().create_database();
    Postgres::shared()
        .psql_at(&database.url, MIGRATION)
        .unwrap();
    (directory, database.url)
}

fn run(directory: &Directory, url: &str, arguments: &[&str]) -> Run {
    let command = ["check", "statements.jsonl"];
    let arguments: Vec<_> = command.iter().chain(arguments).copied().collect();
    directory.run(&arguments, &[("DATABASE_URL", url)])
}

fn without_broken() -> String {
    let fine = STATEMENTS.lines().filter(|line| !line.contains("emial"));
    fine.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn what_the_server_refuses_is_shown_with_its_place_and_what_no_index_serves_is_a_warning() {
    let (directory, url) = prepared(STATEMENTS);
    let checked = run(&directory, &url, &[]);
    let error = "\
error[42703]: column \"emial\" does not exist
  --> src/users.rs:12:9
  --> src/users.rs:104:9
   |
 2 |        emial
   |        ^
";
    assert!(checked.stdout.contains(error), "{}", checked.stdout);
    let warning = "\
warning[unindexed_sort]: no index has the rows in the order of posts.views DESC, so they are sorted each \
                   time; make one that begins with what the condition compares
  --> src/posts.rs:30:10
   |
 1 | select id, title from posts where deleted_at is null order by views desc limit $1
";
    assert!(checked.stdout.contains(warning), "{}", checked.stdout);
    let (before, summary) = checked.stdout.rsplit_once("\n\n").unwrap();
    assert!(before.contains("warning["), "the summary comes last");
    assert!(summary.starts_with("checked 5 statements on PostgreSQL "));
    assert!(summary.ends_with(": 1 error, 1 warning\n"), "{summary}");
    assert_eq!(checked.code, Some(3));
    assert_eq!(
        checked.stderr, "aquifer: statements refused: 1; warnings denied: 0\n",
        "and no progress where there is no terminal"
    );
}

#[test]
fn warnings_are_told_denied_or_allowed() {
    let (directory, url) = prepared(&without_broken());
    let told = run(&directory, &url, &[]);
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    assert!(told.stdout.contains("0 errors, 1 warning"));
    for name in ["warnings", "unindexed_sort"] {
        let denied = run(&directory, &url, &["--deny", name]);
        assert_eq!(denied.code, Some(3));
        assert!(denied.stderr.contains("warnings denied: 1"));
    }
    let other = run(&directory, &url, &["--deny", "cartesian_join"]);
    assert_eq!(other.code, Some(0));
    let allowed = ["--deny", "warnings", "--allow", "unindexed_sort"];
    let allowed = run(&directory, &url, &allowed);
    assert_eq!(allowed.code, Some(0));
    assert!(allowed.stdout.contains("0 errors, 0 warnings"));
    let wrong = run(&directory, &url, &["--deny", "unindexed"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("unindexed_filter"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_program_gets_everything_as_one_object() {
    let (directory, url) = prepared(STATEMENTS);
    let checked = run(&directory, &url, &["--json"]);
    let whole: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(
        (&whole["errors"], &whole["warnings"]),
        (&1.into(), &1.into())
    );
    let statements = whole["statements"].as_array().unwrap();
    let find = |word: &str| {
        let has = |one: &&Value| one["sql"].as_str().unwrap().contains(word);
        statements.iter().find(has).unwrap()
    };
    let broken = find("emial");
    assert_eq!(broken["error"]["sqlstate"], "42703");
    assert_eq!(broken["error"]["position"], 19);
    assert_eq!(broken["locations"][1], "src/users.rs:104:9");
    let insert = find("insert");
    assert_eq!(insert["parameters"][1], "text");
    assert_eq!(insert["tables"][0], "posts");
    assert_eq!(find("views")["warnings"][0]["lint"], "unindexed_sort");
}

#[test]
fn nothing_is_run_or_left_behind() {
    let statements = [
        "delete from posts",
        "insert into users (email) values ($1) returning id",
        "select setval('users_id_seq', 900)",
        "select 1; drop table posts",
        // Seen only when it is planned.
        "insert into posts (user_id, title) values ($1, $2) on conflict (title) do nothing",
    ];
    let line = |sql: &&str| format!("{{\"location\":\"a.rs:1:1\",\"sql\":\"{sql}\"}}\n");
    let (directory, url) = prepared(&statements.iter().map(line).collect::<String>());
    let psql = |sql: &str| Postgres::shared().psql_at(&url, sql).unwrap();
    psql(
        "insert into users (email) values ('a'); insert into posts (user_id, title) values (1, 'b')",
    );
    let checked = run(&directory, &url, &[]);
    assert_eq!(checked.code, Some(3));
    assert!(
        checked.stdout.contains("error[42601]"),
        "{}",
        checked.stdout
    );
    assert!(checked.stdout.contains(": 2 errors, 0 warnings"));
    assert_eq!(psql("select count(*), max(id) from users"), "1|1");
    assert_eq!(psql("select count(*) from posts"), "1");
    assert_eq!(psql("select last_value from users_id_seq"), "1");
}

/// The planner evaluates what is declared immutable, and sequences are not rolled back.
#[test]
fn what_the_planner_evaluates_changes_nothing() {
    let line = "{\"location\":\"a.rs:1:1\",\"sql\":\"select tick() limit 1\"}\n";
    let (directory, url) = prepared(line);
    let psql = |sql: &str| Postgres::shared().psql_at(&url, sql).unwrap();
    psql(
        "create sequence ticks; create function tick() returns bigint immutable language sql as \
          'select nextval(''ticks'')'",
    );
    let checked = run(&directory, &url, &[]);
    assert_eq!(
        psql("select is_called from ticks"),
        "f",
        "{}",
        checked.stdout
    );
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    assert!(
        checked.stdout.contains("read-only transaction"),
        "{}",
        checked.stdout
    );
}

#[test]
fn whatever_stands_in_the_file_is_judged_and_not_run() {
    let (directory, url) = prepared("");
    let psql = |sql: &str| Postgres::shared().psql_at(&url, sql).unwrap();
    psql("create procedure fill() language sql as 'insert into users (email) values (''x'')'");
    let long = format!("select '{}' limit 1", "ä".repeat(3_000_000));
    let planned_only = [
        "do $$ begin insert into users (email) values ('y'); end $$",
        "call fill()",
        "drop table posts",
        "explain analyze insert into users (email) values ('z')",
        "commit",
        "",
    ];
    let refused = [
        "copy users to stdout",
        "select '\0'",
        "select 'a'; drop table posts",
    ];
    let deep = format!("select {} limit 1", vec!["'x'"; 100_000].join(" || "));
    let all = planned_only
        .into_iter()
        .chain(refused)
        .chain([long.as_str(), deep.as_str()]);
    let lines = all.map(|sql| {
        let line = serde_json::json!({ "location": "a.rs:1:1", "sql": sql });
        format!("{line}\n")
    });
    directory.write("statements.jsonl", &lines.collect::<String>());
    let checked = run(&directory, &url, &["--json"]);
    assert_eq!(
        checked.code,
        Some(3),
        "{} {}",
        checked.stdout,
        checked.stderr
    );
    let whole: Value = serde_json::from_str(&checked.stdout).unwrap();
    let statements = whole["statements"].as_array().unwrap();
    let code = |sql: &str| {
        let mut found = statements.iter().filter(|one| one["sql"] == sql);
        found.next().unwrap()["error"]["code"].clone()
    };
    for sql in planned_only {
        assert_eq!(code(sql), Value::Null, "{sql}");
    }
    assert_eq!(refused.map(code), ["not_sent", "not_sent", "42601"]);
    assert_eq!((code(&long), code(&deep)), (Value::Null, "54001".into()));
    assert_eq!(psql("select count(*) from users"), "0");
    assert_eq!(psql("select count(*) from posts"), "0", "it is there");
    let text = run(&directory, &url, &[]);
    assert!(text.stdout.contains("error[not_sent]: "), "{}", text.stderr);
    std::fs::write(directory.0.join("statements.jsonl"), b"{\"sql\":\"\xff\"}").unwrap();
    let wrong = run(&directory, &url, &[]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("UTF-8"), "{}", wrong.stderr);
}

/// The server would take the statement, and the service's number would not fit the parameter.
#[test]
fn a_parameter_of_another_type_than_where_it_was_collected_is_an_error() {
    let line = |types: &str| {
        let sql = "update posts set views = $1 where id = $2";
        format!("{{\"location\":\"a.rs:1:1\",\"sql\":\"{sql}\",\"parameters\":{types}}}\n")
    };
    let (directory, url) = prepared(&line("[\"int4\",\"int4\"]"));
    let same = run(&directory, &url, &[]);
    assert_eq!(same.code, Some(0), "int8 takes int4: {}", same.stdout);
    directory.write("statements.jsonl", &line("[\"int4\",\"text\"]"));
    let changed = run(&directory, &url, &[]);
    assert_eq!(changed.code, Some(3), "{}", changed.stdout);
    let error =
        "error[parameter_type]: parameter $2 is int8 here, and was text where the tests sent it\n";
    assert!(changed.stdout.starts_with(error), "{}", changed.stdout);
    assert!(
        changed
            .stdout
            .contains("= hint: run the tests on the schema")
    );
    let both = line("[\"int4\",\"text\"]") + &line("[\"int4\",\"int8\"]");
    directory.write("statements.jsonl", &both);
    assert_eq!(
        run(&directory, &url, &[]).code,
        Some(0),
        "one schema of two fits"
    );
    directory.write("statements.jsonl", &line("7"));
    let wrong = run(&directory, &url, &[]);
    assert!(
        wrong.stderr.contains("statements.jsonl:1 is no collected"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn what_can_not_be_planned_without_values_is_a_note_and_a_missing_right_an_error() {
    let statements = "\
        {\"location\":\"a.rs:1:1\",\"sql\":\"select id from users where email = $1::address\"}\n\
        {\"location\":\"b.rs:1:1\",\"sql\":\"select id from posts limit 1\"}\n\
        {\"location\":\"c.rs:1:1\",\"sql\":\"set work_mem = '1MB'\"}\n";
    let (directory, url) = prepared(statements);
    let psql = |sql: &str| Postgres::shared().psql_at(&url, sql).unwrap();
    psql("create domain address as text not null");
    let checked = run(&directory, &url, &[]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    let note = "note: it could not be planned without values: domain address does not allow null";
    assert!(checked.stdout.contains(note), "{}", checked.stdout);
    assert!(
        checked.stdout.contains("values: it only has a syntax"),
        "{}",
        checked.stdout
    );
    psql("create role clerk_of_check login; grant select on users to clerk_of_check");
    let separator = if url.contains('?') { '&' } else { '?' };
    let clerk = format!("{url}{separator}user=clerk_of_check");
    let arguments = ["--database-url", &clerk];
    let refused = run(&directory, &url, &arguments);
    assert!(
        refused.stdout.contains("error[42501]"),
        "{} {}",
        refused.stdout,
        refused.stderr
    );
    assert_eq!(refused.code, Some(3));
}

#[test]
fn a_private_server_with_the_migrations_does_as_well() {
    let directory = Directory::new();
    directory.write("statements.jsonl", &without_broken());
    directory.make("schema");
    directory.write("schema/1_shop.sql", MIGRATION);
    let path = std::env::var("PATH").unwrap();
    let arguments = [
        "check",
        "statements.jsonl",
        "--embedded",
        "--migrations",
        "schema",
    ];
    let checked = directory.run(&arguments, &[("PATH", &path)]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.stdout.contains("0 errors, 1 warning"));
    directory.write("schema/1_shop.sql", "create table users (id bigint)");
    let drifted = directory.run(&arguments, &[("PATH", &path)]);
    assert_eq!(drifted.code, Some(3));
    assert!(drifted.stdout.contains("error[42P01]: relation \"posts\""));
    let without = ["check", "statements.jsonl", "--embedded"];
    let without = directory.run(&without, &[("PATH", &path)]);
    assert_eq!(without.code, Some(4));
    assert!(
        without.stderr.contains("by --migrations"),
        "{}",
        without.stderr
    );
}

#[test]
fn a_check_of_nothing_does_not_pass() {
    let (directory, url) = prepared("");
    let nothing = run(&directory, &url, &[]);
    assert_eq!(nothing.code, Some(1));
    assert!(
        nothing.stderr.contains("AQUIFER_COLLECT"),
        "{}",
        nothing.stderr
    );
    directory.write("statements.jsonl", "{\"sql\":\"select 1\"");
    let half = run(&directory, &url, &[]);
    assert_eq!(half.code, Some(1));
    assert!(
        half.stderr.contains("statements.jsonl:1 "),
        "{}",
        half.stderr
    );
    let absent = directory.run(&["check", "absent.jsonl"], &[("DATABASE_URL", &url)]);
    assert_eq!(absent.code, Some(1));
    assert!(absent.stderr.contains("absent.jsonl can't be read"));
}
