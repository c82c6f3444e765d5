use serde_json::Value as Json;

use super::attached::Attached;
use super::builder::Place;
use super::plan::Plan;
use super::read::first_value;
use crate::session::SessionFuture;
use crate::statement::Call;
use crate::{Error, ErrorKind};

/// What the server would do for a statement, or did: the answer of EXPLAIN as data.
#[derive(Clone, Debug)]
pub struct Explained {
    json: Json,
}

/// One step of a server's plan.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a>(&'a Json);

impl Explained {
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
        let mut steps = vec![self.root()];
        let mut next = 0;
        while let Some(step) = steps.get(next) {
            let below = step.0.get("Plans").and_then(Json::as_array);
            steps.extend(below.into_iter().flatten().map(Step));
            next += 1;
        }
        steps
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
    fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
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

    /// The index that it uses.
    #[must_use]
    pub fn index(&self) -> Option<&'a str> {
        self.text("Index Name")
    }

    /// What the server takes all of it to cost, in its own unit.
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

impl<'a> Attached<'a> {
    pub(super) fn explain(
        self,
        plan: Result<Plan, Error>,
        analyze: bool,
        location: Place,
    ) -> SessionFuture<'a, Explained> {
        Box::pin(async move {
            let plan = plan?;
            let options = if analyze { "analyze, buffers, " } else { "" };
            let sql = format!("explain ({options}format json) {}", plan.sql());
            let reply = self
                .call(Call::built(&sql, plan.params(), location))
                .await?;
            let answer: Option<Json> = first_value(&reply)?;
            let first = answer.and_then(|answer| match answer {
                Json::Array(list) => list.into_iter().next(),
                _ => None,
            });
            match first {
                Some(json) => Ok(Explained { json }),
                None => Err(Error::new(
                    ErrorKind::Protocol,
                    "the server's answer to EXPLAIN is no list of plans",
                )),
            }
        })
    }
}
