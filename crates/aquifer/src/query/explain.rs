use std::fmt;

use aquifer_wire::Reply;
use serde_json::Value as Json;

use super::read::first_value;
use crate::{Error, ErrorKind};

/// What the server would do for a statement, or did: the answer of EXPLAIN as data.
///
/// Conditions in it may hold values of parameters, which its `Debug` leaves out.
#[derive(Clone)]
pub struct Explained {
    json: Json,
}

/// One step of a server's plan.
#[derive(Clone, Copy)]
pub struct Step<'a>(&'a Json);

impl Explained {
    /// Reads the answer to `EXPLAIN (FORMAT JSON)`.
    pub(super) fn of(reply: &Reply) -> Result<Self, Error> {
        let answer: Option<Json> = first_value(reply)?;
        let first = answer.and_then(|answer| match answer {
            Json::Array(list) => list.into_iter().next(),
            _ => None,
        });
        let json = first.ok_or_else(|| {
            let text = "the server's answer to EXPLAIN is no list of plans";
            Error::new(ErrorKind::Protocol, text)
        })?;
        Ok(Self { json })
    }

    /// The answer as the server wrote it, for what has no method here.
    #[must_use]
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// The outermost step.
    #[must_use]
    pub fn root(&self) -> Step<'_> {
        Step(self.json.get("Plan").unwrap_or(&Json::Null))
    }

    /// All steps, each before those that it takes its rows from.
    #[must_use]
    pub fn steps(&self) -> Vec<Step<'_>> {
        self.root().below()
    }

    /// Whether a table is read from end to end.
    #[must_use]
    pub fn scans_whole(&self, table: &str) -> bool {
        self.steps()
            .iter()
            .any(|step| step.kind() == "Seq Scan" && step.table() == Some(table))
    }

    /// Whether rows are sorted, for want of an index that has them in order.
    #[must_use]
    pub fn sorts(&self) -> bool {
        self.steps()
            .iter()
            .any(|step| matches!(step.kind(), "Sort" | "Incremental Sort"))
    }

    /// How long it ran, in milliseconds; of `explain_analyze` only.
    #[must_use]
    pub fn execution_ms(&self) -> Option<f64> {
        self.json.get("Execution Time")?.as_f64()
    }
}

impl<'a> Step<'a> {
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    /// The steps that it takes its rows from, and those of its sub-queries.
    pub fn children(self) -> impl Iterator<Item = Self> {
        let list = self.0.get("Plans").and_then(Json::as_array);
        list.into_iter().flatten().map(Step)
    }

    /// Those that it takes its rows from, without sub-queries that are evaluated besides.
    pub(super) fn inputs(self) -> Vec<Self> {
        let besides = ["InitPlan", "SubPlan"];
        self.children()
            .filter(|step| {
                step.text("Parent Relationship")
                    .is_none_or(|kind| !besides.contains(&kind))
            })
            .collect()
    }

    /// This one and all that are below it, each before those that it takes its rows from.
    pub(super) fn below(self) -> Vec<Self> {
        let mut steps = vec![self];
        let mut next = 0;
        while let Some(step) = steps.get(next).copied() {
            steps.extend(step.children());
            next += 1;
        }
        steps
    }

    /// What it does, as in `Seq Scan`.
    #[must_use]
    pub fn kind(&self) -> &'a str {
        self.text("Node Type").unwrap_or_default()
    }

    /// The table that it reads or changes.
    #[must_use]
    pub fn table(&self) -> Option<&'a str> {
        self.text("Relation Name")
    }

    /// The name that the table has in the statement.
    #[must_use]
    pub fn alias(self) -> Option<&'a str> {
        self.text("Alias")
    }

    /// By what it sorts, as the server writes it.
    #[must_use]
    pub fn sort_keys(self) -> Vec<&'a str> {
        let list = self.0.get("Sort Key").and_then(Json::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect()
    }

    /// What it compares, as the server writes it: conditions that an index serves, those that are
    /// tried on each row, and those of joins.
    pub fn conditions(self) -> impl Iterator<Item = &'a str> {
        let kinds = ["Cond", "Filter", "Cache Key"];
        kinds
            .into_iter()
            .flat_map(move |kind| self.conditions_of(kind))
    }

    /// Those whose name in the answer ends so.
    pub(super) fn conditions_of(self, kind: &'static str) -> impl Iterator<Item = &'a str> {
        let fields = self.0.as_object().into_iter().flatten();
        let conditions = fields.filter(move |(name, _)| name.ends_with(kind));
        conditions.filter_map(|(_, value)| value.as_str())
    }

    pub(super) fn is_of_one_row(self) -> bool {
        self.rows_expected().is_some_and(|rows| rows <= 1.0)
    }

    /// The index that it uses.
    #[must_use]
    pub fn index(&self) -> Option<&'a str> {
        self.text("Index Name")
    }

    /// What the server takes all of it to cost, those below included, in its own unit.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        self.0.get("Total Cost")?.as_f64()
    }

    /// How many rows the server expects.
    #[must_use]
    pub fn rows_expected(&self) -> Option<f64> {
        self.0.get("Plan Rows")?.as_f64()
    }

    /// How many rows there were for each run of the step; of `explain_analyze` only.
    #[must_use]
    pub fn rows_actual(&self) -> Option<f64> {
        self.0.get("Actual Rows")?.as_f64()
    }
}

impl fmt::Debug for Explained {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.steps()).finish()
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Step")
            .field("kind", &self.kind())
            .field("table", &self.table())
            .field("index", &self.index())
            .finish_non_exhaustive()
    }
}
