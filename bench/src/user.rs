//! The struct that rows are read into, and the keys that are asked for.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// How many rows the tables have; keys count from 1.
pub const ROWS: u32 = 100_000;

/// How many rows one read of many brings.
pub const READ: usize = 1_000;

/// How many rows one load of many writes.
pub const LOAD: usize = 10_000;

/// One row of the table.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct User {
    pub id: i64,
    pub name: String,
    pub email: String,
    pub active: bool,
    pub created_at: SystemTime,
}

/// The rows that a load writes, the same for all.
#[must_use]
pub fn to_load() -> &'static [User] {
    static USERS: OnceLock<Vec<User>> = OnceLock::new();
    USERS.get_or_init(|| {
        let user = |id| User {
            id,
            name: format!("user name {id}"),
            email: format!("user{id}@example.com"),
            active: id % 3 != 0,
            created_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + id as u64),
        };
        (0..LOAD as i64).map(user).collect()
    })
}

/// The rows of a load, column by column.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Columns<'a> {
    pub id: Vec<i64>,
    pub name: Vec<&'a str>,
    pub email: Vec<&'a str>,
    pub active: Vec<bool>,
    pub created_at: Vec<SystemTime>,
}

impl<'a> Columns<'a> {
    /// Turns rows into columns.
    #[must_use]
    pub fn of(users: &'a [User]) -> Self {
        Self {
            id: users.iter().map(|user| user.id).collect(),
            name: users.iter().map(|user| user.name.as_str()).collect(),
            email: users.iter().map(|user| user.email.as_str()).collect(),
            active: users.iter().map(|user| user.active).collect(),
            created_at: users.iter().map(|user| user.created_at).collect(),
        }
    }
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

    /// The next key, from 1 to `keys`.
    pub fn up_to(&mut self, keys: u32) -> i64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 8) % u64::from(keys)) as i64 + 1
    }

    /// The next key of the table.
    pub fn one(&mut self) -> i64 {
        self.up_to(ROWS)
    }

    /// A number from 0 to 1.
    pub fn part(&mut self) -> f64 {
        self.one() as f64 / f64::from(ROWS)
    }
}
