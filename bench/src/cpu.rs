//! Processor time and memory of this process, of another client and of the server, as the kernel
//! counts them.

use std::fs;

/// Seconds of all threads of this process.
#[must_use]
pub fn client() -> f64 {
    threads_of("self")
}

/// Seconds of all threads of a process.
#[must_use]
pub fn threads_of(process: &str) -> f64 {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    threads
        .into_iter()
        .flatten()
        .filter_map(|thread| run_time(&thread.ok()?.path().join("schedstat").to_string_lossy()))
        .sum()
}

/// Seconds of the server's sessions: the children of its first process.
#[must_use]
pub fn server(process: u32) -> f64 {
    let children = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(children).unwrap_or_default();
    children
        .split_whitespace()
        .filter_map(|child| run_time(&format!("/proc/{child}/schedstat")))
        .sum()
}

/// The first number of schedstat: nanoseconds on a processor.
fn run_time(path: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds * 1e-9)
}

/// The most memory that a process had, in kB; 0 when the kernel does not say.
#[must_use]
pub fn peak_memory(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.split_whitespace().next());
    kilobytes.and_then(|kb| kb.parse().ok()).unwrap_or_default()
}
