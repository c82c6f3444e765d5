use syn::{DeriveInput, parse_quote};

use super::expand;

#[track_caller]
fn assert_refused(input: &DeriveInput, with: &str) {
    let refusal = expand(input).expect_err("it must be refused").to_string();
    assert!(refusal.contains(with), "{refusal}");
}

/// The generated code, with the spaces between its tokens left out.
#[track_caller]
fn expanded(input: &DeriveInput) -> String {
    let tokens = expand(input).expect("it must be accepted");
    tokens.to_string().replace(' ', "")
}

#[track_caller]
fn assert_contains(text: &str, wanted: &str) {
    assert!(text.contains(wanted), "{wanted} is not in {text}");
}

#[test]
fn what_is_no_table_is_refused_with_a_remedy() {
    assert_refused(
        &parse_quote!(
            #[entity(table = "moods")]
            enum Mood {
                Sad,
            }
        ),
        "an entity is a struct",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "pages")]
            struct Page<T> {
                #[entity(key)]
                id: T,
            }
        ),
        "has no parameters",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "pairs")]
            struct Pair(i32, i32);
        ),
        "named fields",
    );
    assert_refused(
        &parse_quote!(
            struct User {
                #[entity(key)]
                id: i64,
            }
        ),
        "#[entity(table = \"users\")]",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "users")]
            struct User {
                id: i64,
            }
        ),
        "mark its field with #[entity(key)]",
    );
}

#[test]
fn unknown_options_are_refused_with_the_one_that_was_meant() {
    assert_refused(
        &parse_quote!(
            #[entity(tabel = "users")]
            struct User {
                #[entity(key)]
                id: i64,
            }
        ),
        "unknown option `tabel`: an entity knows `table`, `key`, `rename_all`, `soft_delete`, \
         `version`, `has_many`, `crate`; did you mean `table`?",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "users")]
            struct User {
                #[entity(pk)]
                id: i64,
            }
        ),
        "unknown option `pk`: a field knows `key`, `auto`, `default`, `json`, `rename`, \
         `belongs_to`; did you mean `key`?",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "users")]
            struct User {
                #[entity(version)]
                lock: i64,
            }
        ),
        "`version` is written at the struct: #[entity(version = lock)]",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "users", soft_delete = deletd_at)]
            struct User {
                #[entity(key)]
                id: i64,
                deleted_at: Option<SystemTime>,
            }
        ),
        "`User` has no field `deletd_at`; did you mean `deleted_at`?",
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    assert_refused(
        &parse_quote!(
            #[entity(table = "users", key(id))]
            struct User {
                #[entity(key)]
                id: i64,
            }
        ),
        "named at the struct already",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "users")]
            struct User {
                #[entity(key, auto, default)]
                id: i64,
            }
        ),
        "not both",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "users", rename_all = "camelCase")]
            struct User {
                #[entity(key)]
                user_id: i64,
                #[entity(rename = "userId")]
                other: i64,
            }
        ),
        "another field has the column `userId`",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "users", has_many(ID = Post::USER_ID))]
            struct User {
                #[entity(key)]
                id: i64,
            }
        ),
        "called `ID` already",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "a.b.c")]
            struct User {
                #[entity(key)]
                id: i64,
            }
        ),
        "\"schema.table\"",
    );
}

#[test]
fn relations_that_name_no_column_are_refused() {
    assert_refused(
        &parse_quote!(
            #[entity(table = "users", has_many(POSTS = Post))]
            struct User {
                #[entity(key)]
                id: i64,
            }
        ),
        "name the column with its entity: Post::USER_ID",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "posts")]
            struct Post {
                #[entity(key)]
                id: i64,
                #[entity(belongs_to = User::ID)]
                author: i64,
            }
        ),
        "belongs_to(AUTHOR = User::ID)",
    );
    assert_refused(
        &parse_quote!(
            #[entity(table = "orders", key(a, b), has_many(LINES = Line::ORDER_ID))]
            struct Order {
                a: i64,
                b: i64,
            }
        ),
        "needs a key of one column",
    );
}

#[test]
fn columns_are_constants_with_their_names_types_and_visibility() {
    let user = expanded(&parse_quote!(
        #[entity(table = "app.users", rename_all = "camelCase", version = lock_version)]
        pub struct User {
            #[entity(key, auto)]
            pub id: i64,
            full_name: Option<String>,
            #[entity(json)]
            settings: Option<Settings>,
            #[entity(rename = "type")]
            r#type: Kind,
            lock_version: i32,
        }
    ));
    assert_contains(
        &user,
        "pubconstID:::aquifer::entity::Col<Self,i64>=::aquifer::entity::Col::new(\"id\");",
    );
    assert_contains(
        &user,
        "]constFULL_NAME:::aquifer::entity::Col<Self,Option<String>>=\
         ::aquifer::entity::Col::new(\"fullName\");",
    );
    assert_contains(
        &user,
        "Col<Self,::core::option::Option<::aquifer::types::Json<Settings>>>",
    );
    assert_contains(&user, "constTYPE:::aquifer::entity::Col<Self,Kind>");
    assert_contains(&user, "of::<i64>(\"id\",\"id\").key().auto()");
    assert_contains(
        &user,
        "of::<i32>(\"lock_version\",\"lockVersion\").version()",
    );
    assert_contains(&user, "::core::option::Option::Some(\"app\"),\"users\"");
    assert_contains(&user, "typeKey=i64;");
}

#[test]
fn the_select_list_is_written_once_and_quotes_every_name() {
    let code = expanded(&parse_quote!(
        #[entity(table = "odd\"table")]
        struct Odd {
            #[entity(key)]
            id: i64,
            #[entity(rename = "a\"b")]
            other: i64,
        }
    ));
    let lists = [
        r#""odd""table"."id", "odd""table"."a""b""#,
        r#""id", "a""b""#,
    ];
    for list in lists {
        let literal = format!("{list:?}").replace(' ', "");
        assert_contains(&code, &literal);
    }
}

#[test]
fn relations_are_constants_and_a_key_may_have_several_columns() {
    let line = expanded(&parse_quote!(
        #[entity(table = "lines", key(order_id, number))]
        struct Line {
            #[entity(belongs_to = shop::Order::ID)]
            order_id: i64,
            number: i32,
            #[entity(belongs_to(BUYER = User::ID))]
            user: Option<i64>,
        }
    ));
    assert_contains(
        &line,
        "constORDER:::aquifer::entity::Relation<Self,shop::Order>=\
         ::aquifer::entity::Relation::new(Self::ORDER_ID,shop::Order::ID);",
    );
    assert_contains(&line, "constBUYER:::aquifer::entity::Relation<Self,User>");
    assert_contains(&line, "typeKey=(i64,i32,);");
}
