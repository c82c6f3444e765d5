use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aquifer::migrate::{Migration, Migrator};

use super::New;
use crate::Failure;

/// The smallest version that is a time, `YYYYMMDDhhmmss`.
const FIRST_TIME: i64 = 19_700_101_000_000;

/// Makes the file or the two files of the next version; never writes over one.
pub(super) fn make(arguments: &New, output: &mut impl Write) -> Result<(), Failure> {
    let directory = &arguments.common.dir;
    fs::create_dir_all(directory)?;
    let migrator = Migrator::from_dir(directory)?;
    let newest = migrator.migrations().last();
    let name = file_name(&arguments.name)?;
    let version = next_version(newest);
    let is_reversible = |one: &Migration| one.file().ends_with(".up.sql");
    let texts: &[(&str, &str)] = if arguments.reversible || newest.is_some_and(is_reversible) {
        &[
            ("up.sql", "-- What leads to this version.\n"),
            ("down.sql", "-- What leads back from this version.\n"),
        ]
    } else {
        &[("sql", "-- What leads to this version.\n")]
    };
    for (suffix, text) in texts {
        let path = directory.join(format!("{version}_{name}.{suffix}"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        file.write_all(text.as_bytes())?;
        writeln!(output, "{}", path.display())?;
    }
    Ok(())
}

fn file_name(name: &str) -> Result<String, Failure> {
    let name = name.trim().replace(char::is_whitespace, "_");
    let fits = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    if !name.is_empty() && name.chars().all(fits) {
        return Ok(name);
    }
    Err(Failure {
        code: 2,
        cause: "a name has letters, digits, `_` and `-`, as in `add_users`".into(),
    })
}

/// One more than the newest, where versions are counted, and as many digits; else the time.
fn next_version(newest: Option<&Migration>) -> String {
    let newest = newest.filter(|newest| newest.version() < FIRST_TIME);
    let Some(newest) = newest else {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        return time(since.map_or(0, |since| since.as_secs()));
    };
    let name = Path::new(newest.file()).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let digits = name.find('_').unwrap_or_default();
    format!("{:0digits$}", newest.version() + 1)
}

/// `YYYYMMDDhhmmss` in UTC, of seconds since 1970.
fn time(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut day) = (1970, days);
    while day >= days_of(year) {
        day -= days_of(year);
        year += 1;
    }
    let february = if days_of(year) == 366 { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{year:04}{month:02}{:02}{hour:02}{minute:02}{second:02}",
        day + 1
    )
}

fn days_of(year: u64) -> u64 {
    let leaps = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leaps { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn a_time_is_written_as_date_does() {
        // date -u -d @SECONDS +%Y%m%d%H%M%S
        assert_eq!(time(0), "19700101000000");
        assert_eq!(time(951_782_399), "20000228235959");
        assert_eq!(time(951_782_400), "20000229000000");
        assert_eq!(time(1_709_251_199), "20240229235959");
        assert_eq!(time(1_735_689_599), "20241231235959");
        assert_eq!(time(4_107_542_400), "21000301000000");
    }
}
