//! Tables in Markdown, and the same as JSON.

use serde_json::{Map, Value, json};

use super::rounds::{Cost, Costs};

/// What putting queries together costs, one line for each builder.
#[must_use]
pub fn builders(costs: &[Costs]) -> String {
    let mut text =
        "| | seed query, ns | over the first | allocations | wide query, ns | over the first | \
                    allocations |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    let cells = |cost: Cost| {
        format!(
            "{:.0} | {:.2} | {:.0}",
            cost.nanoseconds, cost.ratio, cost.allocations
        )
    };
    for Costs { name, seed, wide } in costs {
        text += &format!("| {name} | {} | {} |\n", cells(*seed), cells(*wide));
    }
    text
}

/// What checking 50 tables and 50 queries takes, one line for each library.
#[must_use]
pub fn compiled(seconds: &[(&str, f64)]) -> String {
    let mut text =
        "| 50 tables, 50 queries | processor seconds of `cargo check` | over the first |\n\
                    |---|---|---|\n"
            .to_owned();
    let first = seconds.first().map_or(f64::NAN, |(_, first)| *first);
    for (name, seconds) in seconds {
        text += &format!("| {name} | {seconds:.2} | {:.1} |\n", seconds / first);
    }
    text
}

/// Our figures by their names, and those of the peers below theirs.
#[must_use]
pub fn json(costs: &[Costs], compiled: &[(&str, f64)]) -> Value {
    let mut own = Map::new();
    let mut peers = Map::new();
    let mut of = |name: &str, figures: Vec<(&str, f64)>| {
        let object = match name {
            "aquifer" => &mut own,
            name => peers
                .entry(name)
                .or_insert_with(|| json!({}))
                .as_object_mut()
                .expect("made as one"),
        };
        object.extend(
            figures
                .into_iter()
                .map(|(key, figure)| (key.to_owned(), rounded(figure))),
        );
    };
    for Costs { name, seed, wide } in costs {
        let figures = vec![
            ("seed_query_ns", seed.nanoseconds),
            ("seed_query_allocations", seed.allocations),
            ("seed_query_ratio", seed.ratio),
            ("wide_query_ns", wide.nanoseconds),
            ("wide_query_allocations", wide.allocations),
            ("wide_query_ratio", wide.ratio),
        ];
        of(name, figures);
    }
    for (name, seconds) in compiled {
        of(name, vec![("check_seconds_50", *seconds)]);
    }
    own.insert("peers".to_owned(), peers.into());
    own.into()
}

fn rounded(figure: f64) -> Value {
    json!((figure * 100.0).round() / 100.0)
}
