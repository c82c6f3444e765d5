use aquifer_macros::{Decode, Encode};
use aquifer_wire::types::{Array, Raw};
use aquifer_wire::{Client, Kind};

use super::Trip;
use crate::database::{row, run, session};

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "aquifer_wire")]
struct Place {
    // Not the server's order.
    number: Option<i64>,
    street: String,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "aquifer_wire")]
struct Person {
    name: Email,
    home: Option<Place>,
    others: Vec<Place>,
    mood: Option<Mood>,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "aquifer_wire")]
struct Email(String);

#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "aquifer_wire", rename_all = "snake_case")]
enum Mood {
    Sad,
}

const TYPES: &str = "
    create type mood as enum ('sad');
    create domain email as text check (value like '%@%');
    create domain work_email as email check (length(value) < 40);
    create type place as (street text, number int4);
    create type person as (name work_email, home place, others place[], mood mood);
    create domain known_place as place check ((value).street <> '');
    create domain places as place[] check (array_length(value, 1) < 3);
    create domain scores as int4[];
    create type team as (lead person, scores scores, known known_place);
    create domain home_team as team;";

async fn with_types() -> Client {
    let client = session().await;
    client.script(TYPES).await.unwrap();
    client
}

fn place(street: &str) -> Place {
    Place {
        number: Some(7),
        street: street.into(),
    }
}

fn person(name: &str) -> Person {
    Person {
        name: Email(name.into()),
        home: Some(place("A, \"B\" (C)")),
        others: vec![
            place(""),
            Place {
                number: None,
                street: "\\".into(),
            },
        ],
        mood: Some(Mood::Sad),
    }
}

#[tokio::test]
async fn composites_and_what_they_hold() {
    let client = with_types().await;
    let places = [
        place("A"),
        place(""),
        place("NULL"),
        Place {
            number: None,
            street: "(,)".into(),
        },
    ];
    Trip::of(&client, "place").run(&places).await;
    let alone = Person {
        home: None,
        others: vec![],
        mood: None,
        ..person("b@c")
    };
    Trip::of(&client, "person")
        .run(&[person("a@b"), alone])
        .await;
    let team = |name: &str| (person(name), vec![1, 2], place("known"));
    Trip::of(&client, "team").run(&[team("a@b")]).await;
    Trip::of(&client, "home_team").run(&[team("a@b")]).await;
    // By position instead of by name.
    Trip::of(&client, "place")
        .run(&[("A".to_owned(), Some(5)), (String::new(), None)])
        .await;
}

#[tokio::test]
async fn domains_are_what_they_stand_for() {
    let client = with_types().await;
    Trip::of(&client, "work_email")
        .run(&["a@b".to_owned()])
        .await;
    Trip::of(&client, "email").run(&[Email("a@b".into())]).await;
    Trip::of(&client, "known_place").run(&[place("A")]).await;
    Trip::of(&client, "places")
        .run(&[vec![place("A"), place("B")], vec![]])
        .await;
    Trip::of(&client, "scores")
        .run(&[vec![Some(1), None], vec![]])
        .await;
    for (sql, value) in [
        ("select $1::email", "nobody"),
        ("select $1::work_email", "nobody"),
    ] {
        let error = run(&client, sql, &(value,)).await.unwrap_err();
        assert_eq!(error.sqlstate().unwrap().code(), "23514", "{error}");
        assert!(error.database().unwrap().constraint().is_some());
    }
    let error = run(&client, "select $1::places", &(vec![place("A"); 3],))
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "23514", "{error}");
}

#[tokio::test]
async fn rows_of_tables_and_records() {
    let client = with_types().await;
    let script = "create table homes (id int4, at place, gone text); alter table homes drop gone;
                  insert into homes values (1, row('A', 7))";
    client.script(script).await.unwrap();
    let row = row(
        &client,
        "select homes, row(1, 'a'::text, null::int8), array[row(1, true)] from homes",
        &(),
    )
    .await;
    let home: (i32, Place) = row.get(0).unwrap();
    assert_eq!(home, (1, place("A")));
    let record: (i32, String, Option<i64>) = row.get(1).unwrap();
    assert_eq!(record, (1, "a".to_owned(), None));
    let records: Vec<(i32, bool)> = row.get(2).unwrap();
    assert_eq!(records, [(1, true)]);
    // What a record holds of types that only the catalog knows stays as bytes, and fails nothing.
    let sql = "select row('sad'::mood, row('A', 7)::place)";
    let row = crate::database::row(&client, sql, &()).await;
    let (mood, home): (Raw, Raw) = row.get(0).unwrap();
    assert_eq!(mood.bytes().unwrap(), b"sad");
    assert!(!home.is_null());
}

#[tokio::test]
async fn what_does_not_fit_names_the_field() {
    let client = with_types().await;
    let error = run(&client, "select $1::place", &(("A", 5_000_000_000_i64),))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Encode, false));
    assert!(error.to_string().contains("number"), "{error}");
    let row = row(&client, "select row('A', null)::place as p", &()).await;
    let error = row.get::<(String, i32)>("p").unwrap_err().to_string();
    assert!(
        error.contains("\"p\"") && error.contains("number") && error.contains("NULL"),
        "{error}"
    );
    let empty: Array<Place> = crate::database::row(&client, "select '{}'::place[]", &())
        .await
        .get(0)
        .unwrap();
    assert!(empty.elements().is_empty());
}
