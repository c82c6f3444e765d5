/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo xtask COMMAND

  demo [--release] [ARGS…]  run the demo; ARGS go to it, for example --once
  test [ARGS…]              run every test; ARGS go to the test runner
  ci [STEP…]                the one gate: everything that must hold before a merge
  tidy                      check layering, sizes, docs and text
  bench [ARGS…]             run the benchmarks beside the peers; ARGS go to them
  bench ten-lines           build the README's program and its peers: time, crates, size
  deep [PART…]              long checks: properties, interleavings, transfers, fuzzing, figures, counts, PostgreSQL 18
  help                      print this

PostgreSQL and Redis are installed with apt-get or Homebrew if they are missing and it can be
done without a question; no service is left running. XTASK_INSTALL=never forbids it: then you are
told what to install.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not everything could be run.";

/// A command line that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Bench {
        arguments: Vec<String>,
    },
    Ci {
        only: Vec<String>,
    },
    Deep {
        only: Vec<String>,
    },
    Demo {
        release: bool,
        arguments: Vec<String>,
    },
    Help,
    Test {
        arguments: Vec<String>,
    },
    Tidy,
}

impl Command {
    /// Reads the arguments after the program's name. A single `--` before the passed-on arguments
    /// is allowed and dropped.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments;
        let Some(name) = arguments.next() else {
            return Err("a command is missing".to_owned());
        };
        let mut rest: Vec<String> = arguments.collect();
        match name.as_str() {
            "bench" => Ok(Self::Bench {
                arguments: without_separator(rest),
            }),
            "ci" => Ok(Self::Ci { only: names(rest)? }),
            "deep" => Ok(Self::Deep { only: names(rest)? }),
            "demo" => {
                // Only the first argument is ours; after it everything belongs to the demo.
                let release = rest.first().is_some_and(|first| first == "--release");
                if release {
                    rest.remove(0);
                }
                Ok(Self::Demo {
                    release,
                    arguments: without_separator(rest),
                })
            }
            "help" | "--help" | "-h" => Ok(Self::Help),
            "test" => Ok(Self::Test { arguments: rest }),
            "tidy" if rest.is_empty() => Ok(Self::Tidy),
            "tidy" => Err(format!(
                "tidy takes no arguments, but got {}",
                rest.join(" ")
            )),
            _ => Err(format!("there is no command {name}")),
        }
    }
}

fn without_separator(mut arguments: Vec<String>) -> Vec<String> {
    if arguments.first().is_some_and(|first| first == "--") {
        arguments.remove(0);
    }
    arguments
}

fn names(arguments: Vec<String>) -> Result<Vec<String>, String> {
    match arguments.iter().find(|argument| argument.starts_with('-')) {
        Some(option) => Err(format!("there is no option {option}; name steps only")),
        None => Ok(arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    fn strings(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn demo_keeps_its_own_option_and_passes_the_others_on() {
        let release = Command::Demo {
            release: true,
            arguments: strings("--once"),
        };
        assert_eq!(parse("demo --release --once"), Ok(release));
        let passed = Command::Demo {
            release: false,
            arguments: strings("--once --release"),
        };
        assert_eq!(parse("demo -- --once --release"), Ok(passed));
    }

    #[test]
    fn test_passes_everything_on_as_it_stands() {
        let expected = Command::Test {
            arguments: strings("a_name -- --nocapture"),
        };
        assert_eq!(parse("test a_name -- --nocapture"), Ok(expected));
    }

    #[test]
    fn steps_are_names_and_not_options() {
        assert_eq!(
            parse("ci fmt tidy"),
            Ok(Command::Ci {
                only: strings("fmt tidy")
            })
        );
        assert!(parse("ci --fast").is_err());
    }

    #[test]
    fn an_unknown_or_missing_command_is_refused() {
        assert!(parse("tset").is_err_and(|message| message.contains("tset")));
        assert!(parse("").is_err());
        assert!(parse("tidy now").is_err());
    }
}
