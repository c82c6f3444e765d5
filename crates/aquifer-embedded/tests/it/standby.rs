use aquifer_embedded::{Embedded, ErrorKind, Shutdown};

use super::{Scratch, answer, psql};

/// Waits until the standby has replayed all that the primary has written.
fn catch_up(primary: &Embedded, standby: &Embedded) {
    let written = answer(primary, "select pg_current_wal_lsn()");
    let replayed = format!("select pg_last_wal_replay_lsn() >= '{written}'");
    while answer(standby, &replayed) != "t" {}
}

#[test]
fn a_standby_follows_takes_over_and_is_followed_by_the_old_primary() {
    let mut first = Embedded::start().expect("starts");
    answer(&first, "create table kept as select 1 as n");
    let mut second = Embedded::builder()
        .standby_of(&first)
        .start()
        .expect("starts as a standby");
    answer(&first, "insert into kept values (2)");
    catch_up(&first, &second);
    assert_eq!(answer(&second, "select sum(n) from kept"), "3");
    let error = psql(&second, &second.url(), "delete from kept").expect_err("a standby");
    assert!(error.contains("read-only transaction"), "{error}");

    first.kill().expect("killed");
    second.promote().expect("takes over");
    answer(&second, "insert into kept values (3)");

    first.rejoin(&second).expect("starts as a standby");
    answer(&second, "insert into kept values (4)");
    catch_up(&second, &first);
    assert_eq!(answer(&first, "select sum(n) from kept"), "10");
    assert_eq!(answer(&first, "select pg_is_in_recovery()"), "t");
    first.stop().expect("stops");
    second.stop().expect("stops");
}

#[test]
fn a_primary_that_was_stopped_in_order_follows_without_a_copy() {
    let mut first = Embedded::start().expect("starts");
    let mut second = Embedded::builder()
        .standby_of(&first)
        .start()
        .expect("starts as a standby");
    let mut third = Embedded::builder()
        .standby_of(&first)
        .start()
        .expect("starts as a standby");
    catch_up(&first, &second);
    first.shut_down(Shutdown::Fast).expect("stops");
    second.promote().expect("takes over");
    answer(&second, "create table new (n int)");
    first.follow(&second).expect("told");
    first.start_again().expect("starts as a standby");
    third.follow(&second).expect("told");
    for standby in [&first, &third] {
        catch_up(&second, standby);
        assert_eq!(answer(standby, "select count(*) from new"), "0");
    }
}

#[test]
fn only_a_standby_that_runs_can_be_promoted() {
    let mut server = Embedded::start().expect("starts");
    let error = server.promote().expect_err("it is a primary");
    assert_eq!(error.kind(), ErrorKind::Startup);
    assert!(error.to_string().contains("not in standby mode"), "{error}");
    server.kill().expect("killed");
    let error = server.promote().expect_err("it is dead");
    assert_eq!(error.kind(), ErrorKind::Process);
}

#[test]
fn data_that_are_kept_are_not_thrown_away() {
    let scratch = Scratch::new();
    let primary = Embedded::start().expect("starts");
    let mut kept = Embedded::builder()
        .directory(scratch.0.join("data"))
        .start()
        .expect("starts");
    let error = kept.rejoin(&primary).expect_err("its data are kept");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("directory"), "{error}");
    kept.stop().expect("stops, for it runs on");
}

#[test]
fn a_copy_of_a_primary_that_does_not_run_fails_with_what_the_copy_said() {
    let mut primary = Embedded::start().expect("starts");
    primary.shut_down(Shutdown::Immediate).expect("stops");
    let error = Embedded::builder()
        .standby_of(&primary)
        .start()
        .expect_err("nobody to copy");
    assert_eq!(error.kind(), ErrorKind::Startup);
    assert!(error.to_string().contains("pg_basebackup"), "{error}");
}
