//! The statement that every contender runs, and the struct that it is read into.

use std::time::SystemTime;

/// One row by its key.
pub const SELECT: &str = "select id, name, email, active, created_at from users where id = $1";

/// The table and its rows.
pub const SCHEMA: &str = "\
    create table users (
        id bigint primary key, name text not null, email text not null, active bool not null,
        created_at timestamptz not null);
    insert into users
        select i, 'user name ' || i, 'user' || i || '@example.com', i % 3 <> 0,
               now() - i * interval '1 minute'
        from generate_series(1, 100000) i;
    vacuum analyze users;";

/// How many rows the table has; keys count from 1.
pub const ROWS: u32 = 100_000;

/// One row of the table.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct User {
    pub id: i64,
    pub name: String,
    pub email: String,
    pub active: bool,
    pub created_at: SystemTime,
}

/// Keys in an order that no cache foresees, the same in every run.
#[derive(Debug)]
pub struct Keys(u64);

impl Keys {
    /// The keys that one task asks for.
    #[must_use]
    pub fn of_task(task: usize) -> Self {
        Self(88_172_645_463_325_252 ^ (task as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

impl Iterator for Keys {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from((self.0 >> 8) % u64::from(ROWS) + 1).ok()
    }
}
