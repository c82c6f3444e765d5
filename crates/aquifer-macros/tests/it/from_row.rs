use aquifer_macros::FromRow;

use crate::aquifer::row::{Columns, Error, read};
use crate::aquifer::types::Decode;

#[derive(Debug, PartialEq, FromRow)]
#[aquifer(crate = "crate::aquifer")]
struct Address {
    street: String,
    #[aquifer(rename = "house number")]
    number: i64,
}

/// What is stored as JSON; deliberately without a codec of its own.
#[derive(Debug, Default, PartialEq)]
struct Settings(Vec<String>);

impl From<Vec<String>> for Settings {
    fn from(items: Vec<String>) -> Self {
        Self(items)
    }
}

#[derive(Debug, PartialEq, FromRow)]
#[aquifer(crate = "crate::aquifer", rename_all = "camelCase")]
struct User {
    user_id: i64,
    #[aquifer(flatten)]
    address: Address,
    nick_name: Option<String>,
    #[aquifer(skip)]
    visits: std::cell::Cell<u8>,
    #[aquifer(default)]
    karma: i64,
    #[aquifer(json)]
    settings: Settings,
    #[aquifer(json)]
    other_settings: Option<Settings>,
    #[aquifer(json, default)]
    late_settings: Settings,
    #[aquifer(json, default)]
    last_settings: Option<Settings>,
    r#type: i64,
}

fn settings(items: &[&str]) -> Settings {
    Settings(items.iter().map(|item| (*item).to_owned()).collect())
}

#[test]
fn each_field_is_read_from_its_column_whatever_their_order() {
    let columns = [
        ("type", Some("7")),
        ("lastSettings", Some("e")),
        ("lateSettings", Some("d")),
        ("otherSettings", Some("c")),
        ("settings", Some("a|b")),
        ("karma", Some("5")),
        ("unknown", Some("?")),
        ("nickName", Some("ann")),
        ("house number", Some("9")),
        ("street", Some("Elm")),
        ("userId", Some("1")),
    ];
    let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let user: User = read(&Columns(names), &values).unwrap();
    assert_eq!(
        user,
        User {
            user_id: 1,
            address: Address {
                street: "Elm".to_owned(),
                number: 9,
            },
            nick_name: Some("ann".to_owned()),
            visits: 0.into(),
            karma: 5,
            settings: settings(&["a", "b"]),
            other_settings: Some(settings(&["c"])),
            late_settings: settings(&["d"]),
            last_settings: Some(settings(&["e"])),
            r#type: 7,
        }
    );
}

/// The columns that a `User` can't do without.
const NEEDED: [(&str, &str); 5] = [
    ("userId", "1"),
    ("street", "Elm"),
    ("house number", "9"),
    ("settings", "a"),
    ("type", "7"),
];

/// Those, and one that may be NULL but not missing.
fn needed() -> (Columns, Vec<Option<&'static str>>) {
    let (mut names, values): (Vec<_>, Vec<_>) = NEEDED.into_iter().unzip();
    names.extend(["nickName", "otherSettings"]);
    let values = values.into_iter().map(Some).chain([None, None]);
    (Columns(names), values.collect())
}

#[test]
fn a_missing_column_or_null_leaves_the_default() {
    let (Columns(mut names), mut values) = needed();
    let missing: User = read(&Columns(names.clone()), &values).unwrap();
    names.extend(["karma", "lateSettings", "lastSettings"]);
    values.extend([None, None, None]);
    let null: User = read(&Columns(names), &values).unwrap();
    assert_eq!(missing, null);
    assert_eq!(missing.karma, 0);
    assert_eq!(missing.nick_name, None);
    assert_eq!(missing.other_settings, None);
    assert_eq!(missing.late_settings, Settings::default());
    assert_eq!(missing.last_settings, None);
}

#[test]
fn a_column_that_is_needed_is_named_when_it_is_missing() {
    let (columns, values) = needed();
    for (position, name) in columns.0.iter().enumerate() {
        let names = columns.0.iter().enumerate();
        let names = names.map(|(at, name)| if at == position { "-" } else { *name });
        let error = read::<User>(&Columns(names.collect()), &values).unwrap_err();
        assert!(error.0.ends_with(&format!("no column {name}")), "{error:?}");
    }
    let error = read::<User>(&Columns(vec!["userId"]), &[Some("1")]).unwrap_err();
    assert_eq!(error, Error("Address.street: no column street".to_owned()));
}

#[test]
fn a_value_that_does_not_fit_is_named_by_struct_and_field() {
    let (columns, mut values) = needed();
    values[2] = Some("nine");
    let error = read::<User>(&columns, &values).unwrap_err();
    assert_eq!(error, Error("Address.number: not a number".to_owned()));
    values[2] = Some("9");
    values[3] = None;
    let error = read::<User>(&columns, &values).unwrap_err();
    assert_eq!(error, Error("User.settings: NULL".to_owned()));
}

#[derive(Debug, PartialEq, FromRow)]
#[aquifer(crate = "crate::aquifer")]
struct Pair(i64, #[aquifer(json)] Settings);

#[test]
fn a_struct_without_names_is_read_by_position() {
    let columns = Columns(vec!["?column?", "?column?"]);
    let pair: Pair = read(&columns, &[Some("1"), Some("a")]).unwrap();
    assert_eq!(pair, Pair(1, settings(&["a"])));
    let error = read::<Pair>(&columns, &[Some("x"), Some("a")]).unwrap_err();
    assert_eq!(error, Error("Pair.0: not a number".to_owned()));
}

#[derive(Debug, PartialEq, FromRow)]
#[aquifer(crate = "crate::aquifer")]
struct Dated<T, U, const DAYS: usize>
where
    U: Clone,
{
    day: Option<T>,
    #[aquifer(flatten)]
    rest: U,
    #[aquifer(json)]
    settings: Option<T>,
    #[aquifer(skip)]
    days: std::marker::PhantomData<(T, [u8; DAYS])>,
}

#[derive(Clone, Debug, PartialEq, FromRow)]
#[aquifer(crate = "crate::aquifer")]
struct Id {
    id: i64,
}

/// Can be read both from a column and from JSON.
#[derive(Clone, Debug, PartialEq)]
struct Text(String);

impl<'a> Decode<'a> for Text {
    fn decode(raw: Option<&'a str>) -> Result<Self, String> {
        String::decode(raw).map(Self)
    }
}

impl From<Vec<String>> for Text {
    fn from(items: Vec<String>) -> Self {
        Self(items.join(","))
    }
}

#[test]
fn a_generic_struct_is_read_where_its_parameters_can_be() {
    let columns = Columns(vec!["id", "day", "settings"]);
    let values = [Some("1"), Some("monday"), Some("a|b")];
    let dated: Dated<Text, Id, 3> = read(&columns, &values).unwrap();
    assert_eq!(dated.day, Some(Text("monday".to_owned())));
    assert_eq!(dated.rest, Id { id: 1 });
    assert_eq!(dated.settings, Some(Text("a,b".to_owned())));
}
