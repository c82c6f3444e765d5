//! Whether parameters still have the types that a statement was sent with.

use std::collections::BTreeSet;

use super::inspect::Refusal;

/// In each row one takes what those before it take.
const WIDER: [&[&str]; 2] = [&["int2", "int4", "int8", "numeric"], &["float4", "float8"]];
/// In each row one takes what all others take.
const ALIKE: [&[&str]; 2] = [&["text", "varchar", "bpchar", "citext"], &["json", "jsonb"]];

/// What is wrong where the types of the server are none of those that were collected: it would prepare
/// the statement, and the service's values would not fit.
pub(super) fn changed(collected: &BTreeSet<Vec<String>>, here: &[String]) -> Option<Refusal> {
    let fits = |there: &Vec<String>| there.len() == here.len() && misfit(there, here).is_none();
    let there = collected.first()?;
    if collected.iter().any(fits) {
        return None;
    }
    let message = match misfit(there, here) {
        Some((number, there, here)) => {
            format!("parameter ${number} is {here} here, and was {there} where the tests sent it")
        }
        None => "it has another number of parameters here than where the tests sent it".to_owned(),
    };
    Some(Refusal {
        code: "parameter_type".to_owned(),
        message,
        detail: None,
        hint: Some("run the tests on the schema that is checked, and collect anew".to_owned()),
        position: None,
    })
}

/// The first parameter, from 1, that does not take what it took.
fn misfit<'a>(there: &'a [String], here: &'a [String]) -> Option<(usize, &'a str, &'a str)> {
    let pairs = (1..).zip(there.iter().zip(here));
    let mut pairs = pairs.map(|(number, (there, here))| (number, there.as_str(), here.as_str()));
    pairs.find(|(_, there, here)| there != here && !takes(here, there))
}

fn takes(here: &str, there: &str) -> bool {
    if let (Some(here), Some(there)) = (here.strip_suffix("[]"), there.strip_suffix("[]")) {
        return here == there || takes(here, there);
    }
    let is_wider = WIDER.iter().any(|row| {
        let place = |name: &str| row.iter().position(|known| *known == name);
        place(here)
            .zip(place(there))
            .is_some_and(|(here, there)| here > there)
    });
    is_wider
        || ALIKE
            .iter()
            .any(|row| row.contains(&here) && row.contains(&there))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_type_that_takes_what_the_other_took_is_no_change() {
        let one = |there: &str, here: &str| {
            let collected = BTreeSet::from([types(&[there])]);
            changed(&collected, &types(&[here])).is_none()
        };
        assert!(one("int4", "int8") && one("varchar", "text") && one("uuid", "uuid"));
        assert!(!one("int8", "int4") && !one("int8", "text") && !one("text", "uuid"));
        assert!(one("int4[]", "int8[]") && !one("int4[]", "int8") && !one("date[]", "time[]"));
    }

    #[test]
    fn one_of_several_schemas_is_enough_and_none_says_nothing() {
        let collected = BTreeSet::from([types(&["int8"]), types(&["text"])]);
        assert!(changed(&collected, &types(&["text"])).is_none());
        assert!(changed(&collected, &types(&["text", "text"])).is_some());
        assert!(changed(&BTreeSet::new(), &types(&["text"])).is_none());
    }
}
