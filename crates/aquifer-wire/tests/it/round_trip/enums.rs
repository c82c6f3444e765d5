use aquifer_macros::{Decode, Encode};

use super::Trip;
use crate::database::{Database, row, run, session};

#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "aquifer_wire", rename_all = "snake_case")]
enum Mood {
    Sad,
    #[aquifer(rename = "very happy")]
    Happy,
    SoSo,
}

#[tokio::test]
async fn labels_of_every_kind() {
    let client = session().await;
    let longest = "ä".repeat(31);
    let labels = [
        "", " ", "'", "\"", "a,b", "{}", "\\", "NULL", "日本", "sad", &longest,
    ];
    let quoted: Vec<String> = labels
        .iter()
        .map(|label| format!("'{}'", label.replace('\'', "''")))
        .collect();
    client
        .script(&format!("create type odd as enum ({})", quoted.join(", ")))
        .await
        .unwrap();
    Trip::of(&client, "odd")
        .run(&labels.map(String::from))
        .await;
}

#[tokio::test]
async fn a_rust_enum_is_its_label() {
    let client = session().await;
    client
        .script("create type mood as enum ('sad', 'so_so', 'very happy')")
        .await
        .unwrap();
    let moods = [Mood::Sad, Mood::Happy, Mood::SoSo];
    Trip::of(&client, "mood").run(&moods).await;
    Trip::of(&client, "text").run(&moods).await;
    let row = row(
        &client,
        "select $1::mood > 'sad', 'so_so'::mood",
        &(Mood::Happy,),
    )
    .await;
    assert!(row.get::<bool>(0).unwrap());
    assert_eq!(row.get::<&str>(1).unwrap(), "so_so");
}

#[tokio::test]
async fn labels_that_are_added_and_renamed_while_connected() {
    let database = Database::new();
    let (client, other) = (database.connect().await, database.connect().await);
    client
        .script("create type mood as enum ('sad')")
        .await
        .unwrap();
    let (send, read) = ("select $1::mood", "select enum_range(null::mood)");
    for client in [&client, &other] {
        run(client, send, &("sad",)).await.unwrap();
        run(client, read, &()).await.unwrap();
    }
    client
        .script("alter type mood add value 'very happy'")
        .await
        .unwrap();
    client
        .script("alter type mood rename value 'sad' to 'so_so'")
        .await
        .unwrap();
    for client in [&client, &other] {
        let back = row(client, send, &("very happy",)).await;
        assert_eq!(back.get::<Mood>(0).unwrap(), Mood::Happy);
        let all = row(client, read, &()).await;
        assert_eq!(all.get::<Vec<String>>(0).unwrap(), ["so_so", "very happy"]);
        let error = run(client, send, &("sad",)).await.unwrap_err();
        assert_eq!(error.sqlstate().unwrap().code(), "22P02", "{error}");
    }
    client
        .script("alter type mood add value 'other'")
        .await
        .unwrap();
    let error = row(&other, "select 'other'::mood as m", &())
        .await
        .get::<Mood>("m")
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("very happy") && !text.contains("other"),
        "{text}"
    );
}
