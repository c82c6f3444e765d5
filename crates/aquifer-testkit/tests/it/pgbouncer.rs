use std::path::PathBuf;

use aquifer_testkit::{PgBouncer, Postgres};

#[test]
fn it_lends_few_sessions_to_its_clients_and_ends_with_its_handle() {
    let server = Postgres::shared();
    let pooler = PgBouncer::start_with(
        server,
        // `psql_at` sends options.
        &[
            "default_pool_size = 1",
            "ignore_startup_parameters = options",
        ],
    );
    let url = pooler.url(server, &server.create_database());
    let ask = |sql: &str| server.psql_at(&url, sql).expect("an answer");
    let first = ask("select pg_backend_pid()");
    assert_eq!(ask("select pg_backend_pid()"), first, "one session for all");
    ask("create table t (a int)");
    assert_eq!(ask("select count(*) from t"), "0");
    let process = PathBuf::from(format!("/proc/{}", pooler.pid()));
    drop(pooler);
    assert!(!process.exists());
    assert!(server.psql_at(&url, "select 1").is_err());
}
