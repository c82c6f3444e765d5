//! The figures that are promised, drawn from what was measured; one that was not measured is null.

use serde_json::{Map, Value, json};

use crate::counted::Counts;
use crate::peers::{
    AQUIFER, BARE, BATCH, COPY, DEADPOOL, EXCLUSIVE, INSERT_MANY, LOOKUP, RAW_COPY, UNNEST, WIRE,
};
use crate::report::{Measured, round};
use crate::rounds::Outcome;

/// Ours: no peers of ourselves.
const OWN: [&str; 3] = [AQUIFER, LOOKUP, WIRE];

/// All figures by their names.
#[must_use]
pub fn of(measured: &[Measured], counts: &[Counts]) -> Map<String, Value> {
    let results = Results { measured, counts };
    let mut figures = Map::new();
    let mut put = |name: &str, value: Option<f64>| {
        figures.insert(name.to_owned(), json!(value.map(|value| round(value, 3))));
    };
    for tasks in [64, 256] {
        for (work, name) in [("select", AQUIFER), ("find", LOOKUP)] {
            let ratio = results.ratio(("select", tasks), name, EXCLUSIVE);
            put(&format!("{work}_{tasks}_vs_exclusive"), ratio);
        }
    }
    put(
        "select_1_vs_bare",
        results.ratio(("select", 1), AQUIFER, BARE),
    );
    put("cpu_per_query_vs_deadpool", results.processor_ratio());
    let own = |of: fn(&Counts) -> Option<f64>| results.count(AQUIFER, of);
    let layer = |of: fn(&Counts) -> Option<f64>| Some(own(of)? - results.count(WIRE, of)?);
    put("instructions_per_query", own(|counts| counts.instructions));
    put("syscalls_per_query", own(|counts| counts.system_calls));
    let threads = own(|counts| counts.system_calls_threads);
    put("syscalls_per_query_two_threads", threads);
    put("allocations_per_query", own(|counts| counts.allocations));
    put("layer_instructions", layer(|counts| counts.instructions));
    put("layer_allocations", layer(|counts| counts.allocations));
    put("slow_1pct_fast_p99_vs_exclusive", results.p99_ratio());
    let slow = results.ratio(("slow", 64), AQUIFER, EXCLUSIVE);
    put("slow_1pct_throughput_vs_exclusive", slow);
    for (name, section, own) in [
        ("transaction_vs_exclusive", "transaction", AQUIFER),
        ("batch_vs_exclusive", "transaction", BATCH),
        ("insert_vs_exclusive", "insert", AQUIFER),
        ("update_vs_exclusive", "update", AQUIFER),
        ("durable_insert_vs_exclusive", "insert_durable", AQUIFER),
        ("durable_update_vs_exclusive", "update_durable", AQUIFER),
        (
            "durable_transaction_vs_exclusive",
            "transaction_durable",
            AQUIFER,
        ),
        ("durable_batch_vs_exclusive", "transaction_durable", BATCH),
        ("select_64_500us_vs_exclusive", "select_500us", AQUIFER),
        ("select_64_2ms_vs_exclusive", "select_2ms", AQUIFER),
    ] {
        put(name, results.ratio((section, 64), own, EXCLUSIVE));
    }
    // Times, not rates: how much longer ours takes.
    let times = |own, raw| results.ratio(("bulk", 1), raw, own);
    put("insert_many_vs_unnest", times(INSERT_MANY, UNNEST));
    put("copy_vs_raw_copy", times(COPY, RAW_COPY));
    let decode = results.ratio(("decode", 16), AQUIFER, EXCLUSIVE);
    put("decode_1000_vs_raw", decode);
    figures.insert("peers".to_owned(), results.peers("select"));
    figures.insert("peers_500us".to_owned(), results.peers("select_500us"));
    figures.insert("peers_2ms".to_owned(), results.peers("select_2ms"));
    figures
}

struct Results<'a> {
    measured: &'a [Measured],
    counts: &'a [Counts],
}

impl Results<'_> {
    fn section(&self, key: &str) -> Option<&Measured> {
        self.measured
            .iter()
            .find(|measured| measured.section.key == key)
    }

    fn outcome(&self, (section, tasks): (&str, usize), name: &str) -> Option<&Outcome> {
        self.section(section)?.outcome(name, tasks)
    }

    fn ratio(&self, at: (&str, usize), own: &str, other: &str) -> Option<f64> {
        Some(self.outcome(at, own)?.ratio_to(self.outcome(at, other)?))
    }

    /// Client and server together.
    fn processor_ratio(&self) -> Option<f64> {
        let both = |name| {
            let outcome = self.outcome(("select", 64), name)?;
            Some(outcome.client + outcome.server)
        };
        Some(both(AQUIFER)? / both(DEADPOOL)?)
    }

    fn p99_ratio(&self) -> Option<f64> {
        let of = |name| self.outcome(("slow", 64), name);
        Some(of(AQUIFER)?.p99_ratio_to(of(EXCLUSIVE)?))
    }

    fn count(&self, name: &str, of: fn(&Counts) -> Option<f64>) -> Option<f64> {
        of(self.counts.iter().find(|counts| counts.name == name)?)
    }

    /// The ratio of each peer to the exclusive pool, at 64 tasks.
    fn peers(&self, section: &str) -> Value {
        let Some(measured) = self.section(section) else {
            return Value::Null;
        };
        let peers = measured.outcomes.iter().filter(|outcome| {
            let name = outcome.name;
            outcome.tasks == 64 && name != EXCLUSIVE && !OWN.contains(&name)
        });
        let ratio = |outcome: &Outcome| json!(round(measured.ratio(outcome), 3));
        Value::Object(
            peers
                .map(|outcome| (outcome.name.to_owned(), ratio(outcome)))
                .collect(),
        )
    }
}
