use syn::{DeriveInput, parse_quote};

use super::expand;

#[track_caller]
fn assert_refused(input: &DeriveInput, with: &str) {
    let refusal = expand(input).expect_err("it must be refused").to_string();
    assert!(refusal.contains(with), "{refusal}");
}

/// The generated code, with the spaces between its tokens left out.
fn expanded(input: &DeriveInput) -> String {
    let tokens = expand(input).expect("it must be accepted");
    tokens.to_string().replace(' ', "")
}

#[test]
fn what_no_row_can_be_read_into_is_refused_with_a_remedy() {
    assert_refused(
        &parse_quote!(
            enum Mood {
                Sad,
            }
        ),
        "can't be read into an enum; derive `Decode`",
    );
    assert_refused(
        &parse_quote!(union Bits { float: f32, int: u32 }),
        "use a struct",
    );
    assert_refused(
        &parse_quote!(
            struct Nothing;
        ),
        "give the struct a field",
    );
    assert_refused(
        &parse_quote!(
            struct Nothing {
                #[aquifer(skip)]
                cache: Cache,
            }
        ),
        "give the struct a field",
    );
}

#[test]
fn a_field_that_borrows_is_refused() {
    let owned = "owns its values: use `String`";
    assert_refused(
        &parse_quote!(
            struct User<'a> {
                name: &'a str,
            }
        ),
        owned,
    );
    assert_refused(
        &parse_quote!(
            struct User<'a> {
                name: Option<Cow<'a, str>>,
            }
        ),
        owned,
    );
    assert_refused(
        &parse_quote!(
            struct User {
                names: Vec<&'static str>,
            }
        ),
        owned,
    );
}

#[test]
fn wrong_options_are_refused_with_those_that_exist() {
    assert_refused(
        &parse_quote!(
            struct User {
                #[aquifer(column = "x")]
                name: String,
            }
        ),
        "`default`, `flatten`, `json`, `rename` and `skip`",
    );
    assert_refused(
        &parse_quote!(
            struct Pair(i32, #[aquifer(rename = "x")] i32);
        ),
        "read by its position and knows `json` only",
    );
    assert_refused(
        &parse_quote!(
            #[aquifer(transparent)]
            struct Email {
                value: String,
            }
        ),
        "not transparent; derive `Decode`",
    );
    assert_refused(
        &parse_quote!(
            struct User {
                #[aquifer(flatten, default)]
                address: Address,
            }
        ),
        "`flatten` stands alone",
    );
    assert_refused(
        &parse_quote!(
            struct User {
                #[aquifer(json)]
                #[aquifer(skip)]
                cache: Cache,
            }
        ),
        "`skip` stands alone",
    );
    assert_refused(
        &parse_quote!(
            struct User {
                #[aquifer(rename = "")]
                name: String,
            }
        ),
        "1 to 63 bytes",
    );
}

#[test]
fn two_fields_of_one_column_are_refused() {
    assert_refused(
        &parse_quote!(
            #[aquifer(rename_all = "camelCase")]
            struct User {
                full_name: String,
                #[aquifer(rename = "fullName")]
                name: String,
            }
        ),
        "another field is read from the column `fullName`",
    );
}

#[test]
fn errors_are_told_struct_field_and_column() {
    let user = expanded(&parse_quote!(
        struct User {
            #[aquifer(rename = "type")]
            r#type: i32,
            #[aquifer(default)]
            nick: String,
        }
    ));
    let resolve = r#"Mapping::column(mapping,columns,"User","type","type")?;"#;
    assert!(user.contains(resolve), "{user}");
    let resolve = r#"Mapping::column_or_default(mapping,columns,"nick");"#;
    assert!(user.contains(resolve), "{user}");
    let read = r#"RowReader::value::<i32>(row,"User","type")?"#;
    assert!(user.contains(read), "{user}");
    let read = r#"RowReader::value_or_default::<String>(row,"User","nick")?"#;
    assert!(user.contains(read), "{user}");
}

#[test]
fn generated_paths_start_at_the_crate_that_is_named() {
    let default = expanded(&parse_quote!(
        struct User {
            id: i64,
        }
    ));
    assert!(
        default.contains("::aquifer::row::FromRowforUser"),
        "{default}"
    );
    let elsewhere = expanded(&parse_quote!(
        #[aquifer(crate = "crate::inner")]
        struct User {
            #[aquifer(json)]
            settings: Settings,
            #[aquifer(flatten)]
            address: Address,
        }
    ));
    assert!(
        elsewhere.contains("crate::inner::row::FromRowforUser"),
        "{elsewhere}"
    );
    assert!(
        elsewhere.contains("crate::inner::types::Json"),
        "{elsewhere}"
    );
    assert!(!elsewhere.contains("::aquifer::"), "{elsewhere}");
}

#[test]
fn only_generic_types_are_bounded() {
    let page = expanded(&parse_quote!(
        struct Page<T, U: Clone> {
            id: i64,
            items: Vec<T>,
            #[aquifer(json)]
            settings: Option<U>,
        }
    ));
    let bounds = "whereVec<T>:for<'row>::aquifer::types::Decode<'row>,\
                  __Json<U>:for<'row>::aquifer::types::Decode<'row>";
    assert!(page.contains(bounds), "{page}");
    assert!(page.contains("impl<T:'static,U:Clone+'static>"), "{page}");
}
