//! `#[derive(FromRow)]`.

use aquifer::types::Json;
use aquifer::{ErrorKind, FromRow, Session};
use serde::Deserialize;

use crate::support;

#[derive(Debug, PartialEq, FromRow)]
struct Address {
    street: String,
    city: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Settings {
    theme: String,
}

#[derive(Debug, PartialEq, FromRow)]
struct User {
    id: i64,
    #[aquifer(rename = "full_name")]
    name: String,
    nick: Option<String>,
    #[aquifer(default)]
    logins: i32,
    #[aquifer(flatten)]
    address: Address,
    #[aquifer(json)]
    settings: Settings,
    #[aquifer(skip)]
    cached: bool,
}

const SQL: &str = "select 'x'::text as unused, 7::int as id, 'John' as full_name, null::text as nick, \
    'Main St' as street, null::text as city, '{\"theme\": \"dark\"}'::jsonb as settings";

#[tokio::test]
async fn fields_find_their_columns_by_name() {
    let db = support::db().await;
    let user: User = db.query_one(SQL, ()).await.unwrap();
    let expected = User {
        id: 7,
        name: "John".to_owned(),
        nick: None,
        logins: 0,
        address: Address {
            street: "Main St".to_owned(),
            city: None,
        },
        settings: Settings {
            theme: "dark".to_owned(),
        },
        cached: false,
    };
    assert_eq!(user, expected);
    // The mapping is kept with the shape; the second call uses it.
    let users: Vec<User> = db.query_as(SQL, ()).await.unwrap();
    assert_eq!(users, [expected]);
    let json: Json<Settings> = db
        .query_value("select '{\"theme\": \"light\"}'::json", ())
        .await
        .unwrap();
    assert_eq!(json.0.theme, "light");
}

#[derive(Debug, FromRow)]
#[expect(dead_code, reason = "only its errors are looked at")]
struct Small {
    id: i64,
    name: String,
}

#[tokio::test]
async fn errors_name_struct_field_column_and_both_types() {
    let db = support::db().await;
    let cases = [
        (
            "select 1::bigint as id, 2::int as name",
            vec!["Small.name", "\"name\"", "String", "int4"],
        ),
        (
            "select 1::bigint as id, null::text as name",
            vec!["Small.name", "\"name\"", "NULL", "Option"],
        ),
        (
            "select 1::bigint as id, 'x' as title",
            vec!["Small.name", "no column \"name\"", "\"title\""],
        ),
        (
            "select now() as id, 'x' as name",
            vec!["Small.id", "i64", "timestamptz"],
        ),
    ];
    for (sql, parts) in cases {
        let error = db
            .query_one::<Small>(aquifer::AssertSafe(sql), ())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        for part in parts {
            assert!(
                error.to_string().contains(part),
                "{part} is not in: {error}"
            );
        }
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn an_error_with_its_causes_says_nothing_twice() {
    use std::error::Error as _;

    let db = support::db().await;
    let read = db.query_as::<(String,)>("select 1::bigint as id", ()).await;
    let sent = db.query("select $1::bigint", ("x",)).await;
    for error in [read.unwrap_err(), sent.unwrap_err()] {
        let text = error.to_string();
        assert_eq!(text.matches("can't be").count(), 1, "{text}");
        assert!(!text.contains("alloc::"), "{text}");
        assert!(error.source().is_none(), "{text}: {:?}", error.source());
    }
    let error = db.query("select 1; select 2", ()).await.unwrap_err();
    assert!(error.to_string().contains("execute_script"), "{error}");
}
