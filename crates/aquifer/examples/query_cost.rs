//! What it costs to build a query: prints nanoseconds for the seed's query and for a wide one.
//!
//! `cargo run --release -p aquifer --example query_cost`; with a number, it builds the seed's query so
//! often and says nothing, for counting allocations from outside.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example measures and prints"
)]

use std::hint::black_box;
use std::time::Instant;

use aquifer::query::{self, Plan};
use aquifer::{Direction, Error};

fn seed(user_id: i64) -> Result<Plan, Error> {
    query::from("posts")
        .where_("user_id", "=", user_id)
        .order_by("created_at", Direction::Desc)
        .limit(10)
        .build()
}

fn wide(ids: Vec<i64>) -> Result<Plan, Error> {
    query::from("users as u")
        .select((
            "u.id",
            "u.name",
            "u.email",
            "u.active",
            "u.age",
            "u.mood",
            "u.score",
            "u.tags",
            "u.meta",
            "u.created_at",
            "p.title",
            "c.body",
        ))
        .join("posts as p", "p.user_id", "=", "u.id")
        .left_join("comments as c", "c.post_id", "=", "p.id")
        .where_("u.active", "=", true)
        .where_in("u.id", ids)
        .order_by("u.created_at", Direction::Desc)
        .limit(50)
        .build()
}

/// The fewest nanoseconds that one of so many took, of several rounds.
fn best(count: u32, mut build: impl FnMut()) -> u128 {
    // Without optimisation the figures mean nothing, so one round shows that it runs.
    (0..if cfg!(debug_assertions) { 1 } else { 20 })
        .map(|_| {
            let begun = Instant::now();
            (0..count).for_each(|_| build());
            begun.elapsed().as_nanos() / u128::from(count)
        })
        .min()
        .unwrap_or_default()
}

fn main() -> Result<(), Error> {
    let seed_text = seed(7)?.sql().to_owned();
    if let Some(count) = std::env::args()
        .nth(1)
        .and_then(|count| count.parse::<u32>().ok())
    {
        for number in 0..count {
            black_box(seed(black_box(i64::from(number)))?);
        }
        return Ok(());
    }
    let ids: Vec<i64> = (0..50).collect();
    wide(ids.clone())?;
    let seed_ns = best(10_000, || {
        black_box(seed(black_box(7)).is_ok());
    });
    let wide_ns = best(2_000, || {
        black_box(wide(black_box(ids.clone())).is_ok());
    });
    println!("{seed_text}\nseed query {seed_ns} ns, wide query {wide_ns} ns");
    Ok(())
}
