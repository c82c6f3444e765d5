mod ten_lines;

use crate::End;
use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES, REDIS, STRACE, VALGRIND};
use crate::workspace::Workspace;

/// The benchmark of the wire alone, when it is the first argument.
const WIRE: &str = "wire";
/// Promotions under load, beside two peers, when it is the first argument.
const FAILOVER: &str = "failover";
/// The benchmark that compiles instead of running, and needs no server.
const TEN_LINES: &str = "ten-lines";
/// The cache, beside what it is made of and one made by hand.
const CACHE: &str = "cache";
/// What queries cost before they are sent, beside peers; needs no server either.
const QUERY: &str = "query";

/// Runs the benchmarks, a workspace of their own with the peers as dependencies.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<End, Failure> {
    if let Some((TEN_LINES, rest)) = arguments
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        ten_lines::run(workspace, rest)?;
        return Ok(End::Done);
    }
    if !workspace.has("bench/Cargo.toml") {
        eprintln!("== bench: NOT RUN, there is no bench/ yet");
        return Ok(End::Incomplete);
    }
    if arguments.first().is_some_and(|first| first == CACHE) {
        programs::ensure(&[POSTGRES, REDIS])?;
    } else if arguments.first().is_none_or(|first| first != QUERY) {
        programs::ensure(&[POSTGRES])?;
        // Without these the benchmark leaves the counts out, and says so.
        for program in [VALGRIND, STRACE] {
            if let Err(failure) = programs::ensure(&[program]) {
                eprintln!("== bench: {failure}");
            }
        }
    }
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--release", "--manifest-path", "bench/Cargo.toml"]);
    match arguments.split_first() {
        // It needs none of the peers, which take minutes to build.
        Some((first, rest)) if first == WIRE => cargo
            .args(["--no-default-features", "--bin", WIRE, "--"])
            .args(rest),
        Some((first, rest)) if first == FAILOVER => cargo
            .args(["--no-default-features", "--features", FAILOVER])
            .args(["--bin", FAILOVER, "--"])
            .args(rest),
        Some((first, rest)) if first == CACHE => cargo
            .args(["--no-default-features", "--features", CACHE])
            .args(["--bin", CACHE, "--"])
            .args(rest),
        Some((first, rest)) if first == QUERY => cargo
            .args(["--no-default-features", "--features", QUERY])
            .args(["--bin", QUERY, "--"])
            .args(rest),
        _ => cargo.args(["--bin", "peers", "--"]).args(arguments),
    };
    eprintln!("== bench: $ {}", process::line(&cargo));
    let status = cargo
        .status()
        .map_err(|error| Failure::io("cargo can't be run", &error))?;
    Ok(if status.success() {
        End::Done
    } else {
        End::Failed
    })
}
