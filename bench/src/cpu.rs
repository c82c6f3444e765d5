//! Processor time of this process and of the server, in seconds, as the kernel counts it.

use std::fs;

/// Time of all threads of this process.
#[must_use]
pub fn client() -> f64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    threads
        .filter_map(|thread| run_time(&thread.ok()?.path().join("schedstat").to_string_lossy()))
        .sum()
}

/// Time of the server's sessions: the children of its first process.
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
