//! The tables, and the statements that every contender runs.

/// One row by its key.
pub const SELECT: &str = "select id, name, email, active, created_at from users where id = $1";

/// Rows by their keys, for look-ups that travel together.
pub const SELECT_ANY: &str =
    "select id, name, email, active, created_at from users where id = any($1)";

/// Rows whose keys lie in a range.
pub const RANGE: &str =
    "select id, name, email, active, created_at from users where id between $1 and $2";

/// One row more.
pub const INSERT: &str = "insert into events (user_id, body, n) values ($1, $2, $3)";

/// One row changed.
pub const UPDATE: &str = "update accounts set name = $2 where id = $1";

/// A read that takes so many seconds. Its function is declared stable, so that nothing but its
/// latency tells that it is slow.
pub const SLOW: &str = "select slow_read($1)";

/// All rows in one statement, one array for each column.
pub const UNNEST: &str = "insert into bulk select * from \
    unnest($1::int8[], $2::text[], $3::text[], $4::bool[], $5::timestamptz[])";

/// All rows in the binary format of COPY.
pub const COPY: &str = "copy bulk from stdin binary";

/// What goes into [`INSERT`]'s text column.
pub const BODY: &str = "some body text of a row";

/// What goes into [`UPDATE`]'s text column.
pub const NAME: &str = "new name of the account";

/// The tables and their rows.
pub const SCHEMA: &str = "\
    create table users (
        id bigint primary key, name text not null, email text not null, active bool not null,
        created_at timestamptz not null);
    insert into users
        select i, 'user name ' || i, 'user' || i || '@example.com', i % 3 <> 0,
               now() - i * interval '1 minute'
        from generate_series(1, 100000) i;
    create table accounts (id bigint primary key, name text not null) with (fillfactor = 50);
    insert into accounts select i, 'account ' || i from generate_series(1, 100000) i;
    create table events (
        id bigserial primary key, user_id bigint not null, body text not null, n int not null,
        at timestamptz not null default now());
    create table bulk (
        id bigint not null, name text not null, email text not null, active bool not null,
        created_at timestamptz not null);
    create function slow_read(seconds float8) returns int language plpgsql stable as
        'begin perform pg_sleep(seconds); return 1; end';
    vacuum analyze users;
    vacuum analyze accounts;";
