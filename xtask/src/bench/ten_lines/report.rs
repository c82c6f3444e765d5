//! The table, in Markdown.

use super::{Build, Measured};

/// One line for each candidate; ratios to the first.
pub(super) fn table(measured: &[Measured]) -> String {
    let mut lines = vec![
        "| program | crates | debug build, processor s | elapsed s | release build, processor s | \
         elapsed s | program, stripped |"
            .to_owned(),
        "| --- | --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    for one in measured {
        lines.push(format!(
            "| {} | {} | {} | {} | {} | {} | {:.1} MB |",
            one.name,
            one.crates,
            spread(&one.debug, |build| build.processor),
            spread(&one.debug, |build| build.elapsed),
            spread(&one.release, |build| build.processor),
            spread(&one.release, |build| build.elapsed),
            megabytes(one.bytes),
        ));
    }
    lines.join("\n")
}

/// The median, and in brackets the least and the most.
fn spread(builds: &[Build], value: impl Fn(&Build) -> f64) -> String {
    let mut values: Vec<f64> = builds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else {
        return "-".to_owned();
    };
    format!("{:.0} ({least:.0} to {most:.0})", median(&values))
}

/// Of an even number of values, the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let upper = sorted.len() / 2;
    let lower = sorted.len().saturating_sub(1) / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(lower), at(upper))
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_value_in_the_middle() {
        assert!((median(&[1.0, 2.0, 9.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[1.0, 3.0]) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_line_has_the_figures_of_its_candidate() {
        let build = |processor, elapsed| Build { elapsed, processor };
        let table = table(&[Measured {
            name: "one",
            crates: 80,
            debug: vec![build(30.0, 16.0), build(32.0, 18.0)],
            release: vec![build(60.0, 31.0)],
            bytes: 2_340_000,
        }]);
        let line =
            "| one | 80 | 31 (30 to 32) | 17 (16 to 18) | 60 (60 to 60) | 31 (31 to 31) | 2.3 MB |";
        assert_eq!(table.lines().last(), Some(line));
    }
}
