/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo xtask COMMAND

  demo [--release] [ARGS…]  run the demo; ARGS go to it, for example --once
  test [ARGS…]              run every test; ARGS go to the test runner
  ci [STEP…]                the one gate: everything that must hold before a merge
  tidy                      check layering, sizes, docs and text
  bench [ARGS…]             run the benchmarks beside the peers; ARGS go to them
  bench cache               the cache, beside what it is made of and one made by hand
  bench failover            promotions under load, beside two peers
  bench query               what queries cost before they are sent, beside peers
  bench ten-lines           build the README's program and its peers: time, crates, size
  deep [PART…]              long checks: properties, interleavings, transfers, fuzzing, figures, counts, failovers,
                            caches, a soak, PostgreSQL 18
  deep cache [--minutes N] [--json]     caches of four processes under faults, with and without each rule
  deep failover [--rounds N] [--json]   promotions under load; --json: the figures as the last line
  deep soak [--minutes N] [--json]      random faults under load
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
        options: DeepOptions,
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

/// How long a part of `deep` shall take, and what it prints; each part knows its own of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DeepOptions {
    pub(crate) rounds: Option<u32>,
    pub(crate) minutes: Option<u32>,
    pub(crate) json: bool,
}

impl DeepOptions {
    /// Takes the options out of the arguments; what is left are names.
    fn take(arguments: Vec<String>) -> Result<(Self, Vec<String>), String> {
        let mut options = Self::default();
        let mut rest = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let text = arguments.next().unwrap_or_default();
                let number = text.parse().ok().filter(|&number| number > 0);
                number.ok_or_else(|| format!("{argument} needs a number from 1 on"))
            };
            match argument.as_str() {
                "--rounds" => options.rounds = Some(number()?),
                "--minutes" => options.minutes = Some(number()?),
                "--json" => options.json = true,
                _ => rest.push(argument),
            }
        }
        let names = names(rest)?;
        let fits = match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["failover"] => options.minutes.is_none(),
            ["cache" | "soak"] => options.rounds.is_none(),
            _ => options == Self::default(),
        };
        if fits {
            return Ok((options, names));
        }
        Err(
            "--rounds goes with `deep failover`, --minutes with `deep cache` and `deep soak`, --json \
             with each of them"
                .to_owned(),
        )
    }
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
            "deep" => {
                let (options, only) = DeepOptions::take(rest)?;
                Ok(Self::Deep { only, options })
            }
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
    fn parts_of_deep_have_their_own_options() {
        let expected = Command::Deep {
            only: strings("failover"),
            options: DeepOptions {
                rounds: Some(3),
                minutes: None,
                json: true,
            },
        };
        assert_eq!(parse("deep failover --rounds 3 --json"), Ok(expected));
        assert!(parse("deep soak --minutes 1").is_ok());
        assert!(parse("deep cache --minutes 1 --json").is_ok());
        for wrong in [
            "deep --json",
            "deep soak --rounds 3",
            "deep failover soak --json",
            "deep failover --rounds none",
            "deep failover --rounds 0",
            "deep failover --round 3",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_or_missing_command_is_refused() {
        assert!(parse("tset").is_err_and(|message| message.contains("tset")));
        assert!(parse("").is_err());
        assert!(parse("tidy now").is_err());
    }
}
