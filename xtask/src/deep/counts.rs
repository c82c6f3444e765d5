use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES, STRACE, VALGRIND};
use crate::step::Outcome;
use crate::workspace::Workspace;

const MANIFEST: &str = "bench/Cargo.toml";

/// The wire's shared connection as the benchmark calls it.
const CONTENDER: &str = "aquifer-wire, 1 shared";

/// What one shared query may cost, at 64 tasks: the key in the benchmark's report, and the limit.
/// Counts stay the same on a busy machine, times do not: so counts are the gate. The aim is 4,000
/// instructions; this is what was reached (3,841 with one connection, 3,876 with two) and three per cent.
const LIMITS: [(&str, f64); 2] = [("instructions", 3_950.0), ("system_calls", 0.5)];

/// The library with all reads on lanes, and the wire with as many connections as it has lanes. Under
/// valgrind reads seem slow, and as `Db::connect` opens it the library would try some of them alone,
/// the more the busier the machine is.
const LIBRARY: &str = "aquifer, all reads shared";
const BENEATH: &str = "aquifer-wire, 2 shared";

/// What the library may cost on top of the wire. The aim is 800 instructions and one allocation; these
/// are what was reached (876 to 906) and some per cent, so that it does not get worse unseen: a busy machine
/// under valgrind makes reads slow enough for the layer to note it.
const LAYER_LIMITS: [(&str, f64); 2] = [("instructions", 930.0), ("allocations", 1.1)];

/// Counts client instructions and system calls per shared query, and what the library adds to the wire.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    if !workspace.has(MANIFEST) {
        return Ok(Outcome::NotRun("there is no bench/ yet".to_owned()));
    }
    programs::ensure(&[POSTGRES, STRACE, VALGRIND])?;
    let bench = |verb: &str| {
        let mut cargo = workspace.cargo();
        cargo.args([verb, "--release", "--manifest-path", MANIFEST]);
        cargo.args(["--no-default-features", "--features", "layer"]);
        cargo.args(["--bin", "wire"]);
        cargo
    };
    process::run(&mut bench("build"), process::LONG)?;
    eprintln!("   counting, which takes some minutes");
    let mut cargo = bench("run");
    cargo.args(["--quiet", "--", "--no-rates", "--json"]);
    for contender in [CONTENDER, BENEATH, LIBRARY] {
        cargo.args(["--only", contender]);
    }
    check(&process::output(&mut cargo)?)?;
    Ok(Outcome::Done)
}

fn check(report: &str) -> Result<(), Failure> {
    let mut excesses = Vec::new();
    for (key, limit) in LIMITS {
        let shared = count(report, CONTENDER, key)?;
        excesses.extend(excess(&format!("{key} per shared query"), shared, limit));
    }
    for (key, limit) in LAYER_LIMITS {
        let layer = count(report, LIBRARY, key)? - count(report, BENEATH, key)?;
        excesses.extend(excess(&format!("{key} above the wire"), layer, limit));
    }
    if excesses.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "a query costs too much: {}",
        excesses.join("; ")
    )))
}

/// What is said of a count above its limit.
fn excess(what: &str, count: f64, limit: f64) -> Option<String> {
    let said = format!("{count:.2} {what}, at most {limit}");
    eprintln!("   {said}");
    (count > limit).then_some(said)
}

/// A number from the last line of the report, which is JSON on one line.
fn count(report: &str, contender: &str, key: &str) -> Result<f64, Failure> {
    let find = || -> Option<f64> {
        let name = format!("\"contender\":\"{contender}\"");
        let mut objects = report.lines().last()?.split('{');
        let object = objects.find(|object| object.contains(&name))?;
        let (fields, _) = object.split_once('}')?;
        let (_, rest) = fields.split_once(&format!("\"{key}\":"))?;
        rest.split(',').next()?.trim().parse().ok()
    };
    find().ok_or_else(|| {
        Failure::new(format!(
            "the report has no number `{key}` for `{contender}`:\n{report}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(instructions: &str, system_calls: &str, layer: u32) -> String {
        format!(
            "Per query at 64 tasks\n{{\"counts\":[{{\"contender\":\"tokio-postgres\",\
             \"instructions\":16000,\"system_calls\":2.1}},{{\"contender\":\"{CONTENDER}\",\
             \"instructions\":{instructions},\"system_calls\":{system_calls}}},\
             {{\"allocations\":3.0,\"contender\":\"{BENEATH}\",\"instructions\":3900.0}},\
             {{\"allocations\":4.0,\"contender\":\"{LIBRARY}\",\"instructions\":{}}}],\
             \"rates\":[]}}\n",
            3900 + layer
        )
    }

    #[test]
    fn counts_within_the_limits_pass() {
        check(&report("3900.0", "0.3", 700)).expect("within the limits");
    }

    #[test]
    fn each_count_above_its_limit_fails_with_the_numbers() {
        let failed = |report: String| check(&report).expect_err("too much").to_string();
        let instructions = failed(report("3951.0", "0.3", 700));
        assert!(instructions.contains("3951.00 instructions per shared query"));
        let system_calls = failed(report("3900.0", "0.7", 700));
        assert!(system_calls.contains("0.70 system_calls per shared query"));
        let layer = failed(report("3900.0", "0.3", 2_500));
        assert!(layer.contains("2500.00 instructions above the wire"));
    }

    #[test]
    fn a_count_that_was_not_made_does_not_pass() {
        assert!(check(&report("null", "0.3", 700)).is_err());
        assert!(check("").is_err());
    }
}
