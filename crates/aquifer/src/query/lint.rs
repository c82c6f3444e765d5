use std::fmt;

use super::explain::{Explained, Step};

/// Something about a statement that is allowed and seldom meant.
///
/// Two can be told by the statement alone: see [`Plan::lints`](super::Plan::lints). With the server's
/// plan of it all can: see [`Explained::lints`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lint {
    /// It returns as many rows as there happen to be.
    MissingLimit,
    /// No condition connects that source with the others: each of its rows meets each of theirs.
    CartesianJoin {
        /// The source's name in the statement.
        source: String,
    },
    /// A table is read from end to end, for want of an index that serves the condition.
    #[non_exhaustive]
    UnindexedFilter {
        /// The table.
        table: String,
        /// The condition, as the server writes it.
        condition: String,
    },
    /// Rows are sorted, for want of an index that has them in that order: of a whole table, or all
    /// that fit the condition for the first few of them.
    #[non_exhaustive]
    UnindexedSort {
        /// By what, as the server writes it.
        key: String,
    },
}

impl Lint {
    /// The names of all lints.
    pub const NAMES: [&'static str; 4] = [
        "missing_limit",
        "cartesian_join",
        "unindexed_filter",
        "unindexed_sort",
    ];

    /// What kind of lint it is, as in reports: one of [`NAMES`](Self::NAMES).
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::MissingLimit => "missing_limit",
            Self::CartesianJoin { .. } => "cartesian_join",
            Self::UnindexedFilter { .. } => "unindexed_filter",
            Self::UnindexedSort { .. } => "unindexed_sort",
        }
    }
}

/// What is found, and what may be done about it.
impl fmt::Display for Lint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLimit => formatter.write_str(
                "it returns as many rows as there happen to be; give it a limit, or read pages",
            ),
            Self::CartesianJoin { source } => write!(
                formatter,
                "no condition connects {source} with the others, so each of its rows meets each of \
                 theirs; add one to the join"
            ),
            Self::UnindexedFilter { table, condition } => write!(
                formatter,
                "no index serves the condition {condition}, so all of {table} is read; make one"
            ),
            Self::UnindexedSort { key } => write!(
                formatter,
                "no index has the rows in the order of {key}, so they are sorted each time; make one \
                 that begins with what the condition compares"
            ),
        }
    }
}

impl Explained {
    /// What is allowed and seldom meant, as far as the server's plan tells.
    ///
    /// Which index could serve shows in any plan only if the server had reason to look for one. A
    /// plan by [`QueryBuilder::lints`](super::QueryBuilder::lints) or
    /// [`Dedicated::generic_plan`](crate::Dedicated::generic_plan) is made as if reading whole tables
    /// and sorting were very dear, so that it tells the same of empty tables and of large ones.
    ///
    /// Conditions that only ask for NULL or truth are not counted as unindexed, nor are orders of
    /// groups, windows and unions, which no index has.
    #[must_use]
    pub fn lints(&self) -> Vec<Lint> {
        let mut lints = Vec::new();
        let root = self.root();
        if !self.is_bounded(root) {
            lints.push(Lint::MissingLimit);
        }
        lints.extend(self.steps().into_iter().filter_map(cartesian));
        lints.extend(self.steps().into_iter().filter_map(unindexed_filter));
        lints.extend(unindexed_sort(root));
        lints.dedup();
        lints
    }

    /// Whether something says how many rows there are at most.
    fn is_bounded(&self, step: Step<'_>) -> bool {
        let mut inputs = step.inputs().into_iter();
        match step.kind() {
            "Limit" | "ModifyTable" | "Function Scan" | "Values Scan" => true,
            "Aggregate" if step.text("Strategy") == Some("Plain") => true,
            "CTE Scan" => {
                let name = format!("CTE {}", step.text("CTE Name").unwrap_or_default());
                let all = self.steps();
                let cte = all
                    .iter()
                    .find(|step| step.text("Subplan Name") == Some(&name));
                cte.is_none_or(|cte| self.is_bounded(*cte))
            }
            _ if step.is_of_one_row() => true,
            kind if kind.ends_with("Scan") && kind != "Subquery Scan" => {
                // As many as the list has, at most, where they are keys.
                let mut served = step.conditions_of("Cond");
                served.any(|condition| condition.contains("= ANY ("))
            }
            _ => inputs.all(|input| self.is_bounded(input)),
        }
    }
}

/// A nested loop of which one side has neither a condition nor a connection with the other.
fn cartesian(step: Step<'_>) -> Option<Lint> {
    if step.kind() != "Nested Loop" || step.text("Join Filter").is_some() {
        return None;
    }
    let inputs = step.inputs();
    let [outer, inner] = inputs.as_slice() else {
        return None;
    };
    if outer.is_of_one_row() || inner.is_of_one_row() {
        return None;
    }
    let outer_names: Vec<_> = outer.below().into_iter().filter_map(Step::alias).collect();
    let connected = inner.below().into_iter().any(|step| {
        let mut conditions = step.conditions();
        conditions.any(|text| outer_names.iter().any(|name| mentions(text, name)))
    });
    if connected {
        return None;
    }
    let mut scans = inner.below().into_iter().chain(outer.below());
    let free = scans.find(|step| step.table().is_some() && step.conditions().next().is_none())?;
    let source = free.alias()?.to_owned();
    Some(Lint::CartesianJoin { source })
}

/// Whether a condition has a column of that source.
fn mentions(condition: &str, source: &str) -> bool {
    let quoted = format!("\"{source}\".");
    let plain = format!("{source}.");
    condition.contains(&quoted)
        || condition.match_indices(&plain).any(|(at, _)| {
            let before = condition
                .get(..at)
                .and_then(|text| text.chars().next_back());
            before.is_none_or(|before| !(before.is_alphanumeric() || before == '_'))
        })
}

fn unindexed_filter(step: Step<'_>) -> Option<Lint> {
    let (table, condition) = (step.table()?, step.text("Filter")?);
    // Of NULL and truth there are seldom few.
    let compares = condition.contains(['=', '<', '>', '~', '@', '&']);
    let is_catalog = step.text("Schema") == Some("pg_catalog");
    (step.kind() == "Seq Scan" && compares && !is_catalog).then(|| Lint::UnindexedFilter {
        table: table.to_owned(),
        condition: condition.to_owned(),
    })
}

/// The sort that puts the result in order, where an index could do so.
fn unindexed_sort(root: Step<'_>) -> Option<Lint> {
    let (mut step, mut limited) = (root, false);
    while matches!(
        step.kind(),
        "Limit" | "LockRows" | "Result" | "Gather Merge" | "ProjectSet"
    ) {
        limited |= step.kind() == "Limit";
        step = *step.inputs().first()?;
    }
    if !matches!(step.kind(), "Sort" | "Incremental Sort") || step.is_of_one_row() {
        return None;
    }
    let input = *step.inputs().first()?;
    let is_scan = input.table().is_some();
    let joins = ["Nested Loop", "Hash Join", "Merge Join"];
    let keys = step.sort_keys();
    // No index spans two tables.
    let is_of_one = is_scan || joins.contains(&input.kind()) && of_one_source(&keys);
    let reads_whole = is_scan && input.conditions().next().is_none();
    (is_of_one && (limited || reads_whole)).then(|| Lint::UnindexedSort {
        key: keys.join(", "),
    })
}

fn of_one_source(keys: &[&str]) -> bool {
    let mut sources = keys
        .iter()
        .map(|key| key.split_once('.').map(|(name, _)| name));
    let first = sources.next().flatten();
    first.is_some() && sources.all(|source| source == first)
}
