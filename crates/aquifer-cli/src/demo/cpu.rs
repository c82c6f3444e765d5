//! What processes have used of the processors, where the system tells: on Linux.

use std::fs;
use std::time::Duration;

/// Of this process, all its threads together.
pub(super) fn own() -> Option<Duration> {
    of("self")
}

/// Of several processes together; none if one of them can't be seen.
pub(super) fn of_all(processes: &[i32]) -> Option<Duration> {
    let mut all = Duration::ZERO;
    for process in processes {
        all += of(&process.to_string())?;
    }
    Some(all)
}

fn of(process: &str) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        // A thread may end in between.
        if let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) {
            nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
        }
    }
    // Where the kernel does not count there are only zeros.
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted() {
        let Some(before) = own() else { return };
        let mut sum = 0_u64;
        while own().is_some_and(|now| now < before + Duration::from_millis(5)) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let number = i32::try_from(std::process::id()).unwrap();
        assert!(of_all(&[number]) >= Some(before + Duration::from_millis(5)));
        assert_eq!(of_all(&[number, -1]), None);
    }
}
