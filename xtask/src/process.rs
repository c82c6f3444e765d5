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
    eprintln!("   $ {}", line(command));
    let mut child = command
        .spawn()
        .map_err(|error| cannot_run(command, &error))?;
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

/// Asks first, so that a test runner can stop its tests and the servers that they started.
fn stop(child: &mut Child) {
    let asked = Instant::now();
    // The shell's own `kill`: a minimal system has no program of that name.
    let mut shell = Command::new("sh");
    succeeds(
        shell
            .args(["-c", "kill -TERM $1", "sh"])
            .arg(child.id().to_string()),
    );
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

fn cannot_run(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}` can't be run: {error}", line(command)))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

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
