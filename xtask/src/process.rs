use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// Enough for anything that ends at all on a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(20 * 60);

/// How often a running program is asked whether it has ended.
const POLL: Duration = Duration::from_millis(50);

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(15);

/// Runs a program, shows its output, and takes any exit status but success for a failure.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<(), Failure> {
    let status = status(command, limit)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "`{}` ended with {status}",
        line(command)
    )))
}

/// Runs a program that may take up to `limit` and shows its output.
pub(crate) fn status(command: &mut Command, limit: Duration) -> Result<ExitStatus, Failure> {
    let child = start(command)?;
    wait(child, command, limit)
}

/// As [`status`], and shows each line of the standard output to `see` as well.
pub(crate) fn watched(
    command: &mut Command,
    limit: Duration,
    mut see: impl FnMut(&str) + Send,
) -> Result<ExitStatus, Failure> {
    let mut child = start(command.stdout(Stdio::piped()))?;
    let output = child.stdout.take().map(BufReader::new);
    thread::scope(|scope| {
        scope.spawn(move || {
            for line in output.into_iter().flat_map(|output| output.split(b'\n')) {
                // The rest is of no use to anybody once it can't be read.
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                see(&line);
            }
        });
        wait(child, command, limit)
    })
}

fn start(command: &mut Command) -> Result<Child, Failure> {
    eprintln!("   $ {}", line(command));
    let child = command.spawn();
    child.map_err(|error| cannot_run(command, &error))
}

fn wait(mut child: Child, command: &Command, limit: Duration) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    loop {
        if let Some(status) = poll(&mut child, command)? {
            return Ok(status);
        }
        if started.elapsed() >= limit {
            stop(&mut child);
            return Err(Failure::new(format!(
                "`{}` did not end within {} s and was stopped",
                line(command),
                limit.as_secs()
            )));
        }
        thread::sleep(POLL);
    }
}

/// Runs a program and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_run(command, &error))?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "`{}` ended with {}",
            line(command),
            output.status
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program can be started and says that it succeeded; its output is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as one would type it, with the variables that it sets.
pub(crate) fn line(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!(
                "{}={}",
                name.display(),
                quoted(&value.to_string_lossy())
            ));
        }
    }
    let program = command.get_program().to_string_lossy();
    // The full path of cargo belongs to a toolchain and helps nobody.
    let program = match program.rsplit_once('/') {
        Some((_, "cargo")) => "cargo",
        _ => program.as_ref(),
    };
    words.push(quoted(program));
    words.extend(
        command
            .get_args()
            .map(|word| quoted(&word.to_string_lossy())),
    );
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "-_=./:,@+%".contains(sign);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn poll(child: &mut Child, command: &Command) -> Result<Option<ExitStatus>, Failure> {
    child
        .try_wait()
        .map_err(|error| cannot_run(command, &error))
}

/// Asks first, so that programs can clean up; all that it started, too, for cargo does not hand the
/// signal on, and the servers of a test end when the test does.
fn stop(child: &mut Child) {
    let asked = Instant::now();
    // The shell's own `kill`: a minimal system has no program of that name.
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -TERM \"$@\"", "sh"]);
    succeeds(shell.args(family(child.id()).iter().map(u32::to_string)));
    while asked.elapsed() < GRACE {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(POLL);
    }
    // Both fail only if the program has ended by now, which is what is wanted.
    child.kill().ok();
    child.wait().ok();
}

/// A process and those that it started, where the system tells; else it alone.
fn family(of: u32) -> Vec<u32> {
    let processes: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // After the name, which is in brackets and may hold anything: the state, the parent.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
            Some((number, parent.parse().ok()?))
        })
        .collect();
    let mut family = vec![of];
    let mut looked_at = 0;
    while let Some(&parent) = family.get(looked_at) {
        looked_at += 1;
        let children = processes.iter().filter(|(_, of)| *of == parent);
        family.extend(children.map(|(number, _)| *number));
    }
    family
}

fn cannot_run(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}` can't be run: {error}", line(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_a_failure_that_names_it() {
        let failure = run(Command::new("sh").args(["-c", "exit 7"]), LONG).expect_err("exit 7");
        assert!(failure.to_string().contains("sh -c 'exit 7'"), "{failure}");
        assert!(failure.to_string().contains('7'), "{failure}");
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let mut endless = Command::new("sleep");
        let failure = run(endless.arg("1000"), Duration::from_millis(10)).expect_err("endless");
        assert!(failure.to_string().contains("did not end"), "{failure}");
    }

    #[test]
    fn a_program_is_asked_to_stop_so_that_it_can_clean_up() {
        let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdout(Stdio::piped());
        let mut child = shell.spawn().expect("a shell");
        let output = child.stdout.take().expect("it is piped");
        let mut ready = String::new();
        BufReader::new(output)
            .read_line(&mut ready)
            .expect("the shell says that it is ready");
        stop(&mut child);
        assert_eq!(child.wait().expect("it has ended").code(), Some(7));
    }

    #[test]
    fn what_a_program_has_started_is_stopped_with_it() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 1000 & echo started; wait"]);
        let mut child = shell.stdout(Stdio::piped()).spawn().expect("a shell");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut text = String::new();
        output.read_line(&mut text).expect("it says so");
        stop(&mut child);
        // It ends when nobody can write there any more.
        output.read_line(&mut text).expect("the end");
        assert_eq!(text, "started\n");
    }

    #[test]
    fn a_watched_program_is_seen_line_by_line() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo one; echo two; exit 3"]);
        let mut seen = Vec::new();
        let status = watched(&mut shell, LONG, |line| seen.push(line.to_owned()));
        assert_eq!(status.expect("it runs").code(), Some(3));
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn a_shown_command_can_be_typed_again() {
        let mut command = Command::new("/usr/bin/cargo");
        command
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(["doc", "it's"]);
        assert_eq!(
            line(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo doc 'it'\''s'"
        );
    }
}
