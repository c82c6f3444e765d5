//! Putting queries together: from the first call of the builder to the text and its values.
//!
//! Two queries, the same for all: that of the README (`seed`: one condition, an order, a limit), and a
//! wide one of twelve columns, two joins and a list of 50. Nothing is sent.

mod aquifer;
pub mod compile;
mod diesel;
pub mod rounds;
mod sea_query;
pub mod table;

/// Sees a finished text, which is dropped then with all that belongs to it.
pub type Seen<'a> = &'a mut dyn FnMut(&str);

/// One way to put queries together.
#[derive(Clone, Copy, Debug)]
pub struct Builder {
    /// As the tables call it.
    pub name: &'static str,
    /// `select … from posts where user_id = $1 order by created_at desc limit 10`.
    pub seed: fn(i64, Seen<'_>),
    /// Users with their posts and the comments on them, of a list of users.
    pub wide: fn(&[i64], Seen<'_>),
}

/// How many users the wide query asks for.
pub const LIST: i64 = 50;

/// All of them; the first is the one that the others are compared with.
pub const BUILDERS: [Builder; 4] = [
    aquifer::BUILDER,
    aquifer::ENTITIES,
    sea_query::BUILDER,
    diesel::BUILDER,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Text without what may differ: quotes, the columns that are selected, how a list is written.
    fn plain(text: &str) -> String {
        let text = text.to_lowercase().replace('"', "");
        let (_, rest) = text.split_once(" from ").expect("a FROM");
        rest.split("-- binds")
            .next()
            .unwrap_or(rest)
            .trim()
            .to_owned()
    }

    #[test]
    fn all_build_the_query_of_the_readme() {
        for builder in BUILDERS {
            let mut seen = String::new();
            (builder.seed)(7, &mut |text| text.clone_into(&mut seen));
            for part in [
                "posts",
                "user_id",
                "= $1",
                "order by",
                "created_at",
                "desc",
                "limit $2",
            ] {
                assert!(plain(&seen).contains(part), "{}: {seen}", builder.name);
            }
        }
    }

    #[test]
    fn all_join_three_tables_for_the_wide_one() {
        let ids: Vec<i64> = (0..LIST).collect();
        for builder in BUILDERS {
            let mut seen = String::new();
            (builder.wide)(&ids, &mut |text| text.clone_into(&mut seen));
            assert_eq!(seen.to_lowercase().matches(" join ").count(), 2, "{seen}");
            let columns = seen.to_lowercase();
            let columns = columns.split(" from ").next().unwrap_or_default();
            assert_eq!(
                columns.matches(", ").count(),
                11,
                "{}: {seen}",
                builder.name
            );
            for part in [
                "users", "posts", "comments", "active", "= $1", "order by", "limit $",
            ] {
                assert!(plain(&seen).contains(part), "{}: {seen}", builder.name);
            }
        }
    }
}
