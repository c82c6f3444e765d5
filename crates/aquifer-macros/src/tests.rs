use syn::{DeriveInput, parse_quote};

use crate::letter_case::LetterCase;
use crate::{decode, encode};

/// Both derives refuse the input with the same words.
fn refusal(input: &DeriveInput) -> String {
    let refused = encode::expand(input)
        .expect_err("Encode must refuse it")
        .to_string();
    let decoded = decode::expand(input)
        .expect_err("Decode must refuse it")
        .to_string();
    assert_eq!(refused, decoded);
    refused
}

#[test]
fn what_has_no_form_is_refused_with_a_remedy() {
    let with_data: DeriveInput = parse_quote!(
        enum Event {
            Moved { x: i32 },
            Stopped,
        }
    );
    assert!(refusal(&with_data).contains("carry no data; store it as JSON"));

    let unnamed: DeriveInput = parse_quote!(
        struct Pair(i32, i32);
    );
    assert!(refusal(&unnamed).contains("matched by name: name them"));

    let unit: DeriveInput = parse_quote!(
        struct Nothing;
    );
    assert!(refusal(&unit).contains("needs a field"));

    let never: DeriveInput = parse_quote!(
        enum Never {}
    );
    assert!(refusal(&never).contains("needs a variant"));

    let union: DeriveInput = parse_quote!(union Bits { float: f32, int: u32 });
    assert!(refusal(&union).contains("union"));
}

#[test]
fn wrong_options_are_refused_with_those_that_exist() {
    let unknown: DeriveInput = parse_quote!(
        #[aquifer(rename_al = "x")]
        struct Email(String);
    );
    assert!(refusal(&unknown).contains("`crate`, `rename_all` and `transparent`"));

    let no_path: DeriveInput = parse_quote!(
        #[aquifer(crate = "a b")]
        struct Email(String);
    );
    assert!(refusal(&no_path).contains("unexpected token"));

    let no_case: DeriveInput = parse_quote!(
        #[aquifer(rename_all = "Snake")]
        enum Mood {
            Sad,
        }
    );
    assert!(refusal(&no_case).contains("`snake_case`"));

    let on_field: DeriveInput = parse_quote!(
        struct Email {
            #[aquifer(name = "x")]
            value: String,
        }
    );
    assert!(refusal(&on_field).contains("knows `rename`"));

    let empty: DeriveInput = parse_quote!(
        enum Mood {
            #[aquifer(rename = "")]
            Sad,
        }
    );
    assert!(refusal(&empty).contains("1 to 63 bytes"));

    let useless: DeriveInput = parse_quote!(
        struct Email(#[aquifer(rename = "x")] String);
    );
    assert!(refusal(&useless).contains("transparent struct has no name"));

    let not_one: DeriveInput = parse_quote!(
        #[aquifer(transparent)]
        struct Pair {
            left: i32,
            right: i32,
        }
    );
    assert!(refusal(&not_one).contains("has one field"));

    let not_enum: DeriveInput = parse_quote!(
        #[aquifer(transparent)]
        enum Mood {
            Sad,
        }
    );
    assert!(refusal(&not_enum).contains("only a struct"));
}

#[test]
fn two_members_of_one_name_are_refused() {
    let labels: DeriveInput = parse_quote!(
        #[aquifer(rename_all = "lowercase")]
        enum Mood {
            Sad,
            #[aquifer(rename = "sad")]
            Low,
        }
    );
    assert_eq!(refusal(&labels), "another variant has the label `sad`");

    let fields: DeriveInput = parse_quote!(
        struct Pair {
            left: i32,
            #[aquifer(rename = "left")]
            right: i32,
        }
    );
    assert_eq!(refusal(&fields), "another field has the name `left`");
}

#[test]
fn generated_paths_start_at_the_crate_that_is_named() {
    let default: DeriveInput = parse_quote!(
        struct Email(String);
    );
    let elsewhere: DeriveInput = parse_quote!(
        #[aquifer(crate = "crate::inner")]
        struct Email(String);
    );
    for expand in [encode::expand, decode::expand] {
        let text = expand(&default).unwrap().to_string();
        assert!(text.contains(":: aquifer :: types"), "{text}");
        let text = expand(&elsewhere).unwrap().to_string();
        assert!(text.contains("crate :: inner :: types"), "{text}");
        assert!(!text.contains(":: aquifer ::"), "{text}");
    }
}

#[test]
fn cases_are_those_of_serde() {
    use LetterCase::*;

    let variant = [
        (Lower, "verytasty"),
        (Upper, "VERYTASTY"),
        (Pascal, "VeryTasty"),
        (Camel, "veryTasty"),
        (Snake, "very_tasty"),
        (ScreamingSnake, "VERY_TASTY"),
        (Kebab, "very-tasty"),
        (ScreamingKebab, "VERY-TASTY"),
    ];
    for (case, expected) in variant {
        assert_eq!(case.convert(Pascal, "VeryTasty"), expected);
    }
    let field = [
        (Lower, "very_tasty"),
        (Upper, "VERY_TASTY"),
        (Pascal, "VeryTasty"),
        (Camel, "veryTasty"),
        (Snake, "very_tasty"),
        (ScreamingSnake, "VERY_TASTY"),
        (Kebab, "very-tasty"),
        (ScreamingKebab, "VERY-TASTY"),
    ];
    for (case, expected) in field {
        assert_eq!(case.convert(Snake, "very_tasty"), expected);
    }
}
