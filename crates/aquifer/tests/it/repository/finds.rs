//! Finds that travel together, and those that must not.

use std::sync::Arc;

use aquifer::entity::Entity;
use aquifer::testing::Recorder;
use aquifer::{Db, Error, ErrorKind, Repo, Repository, Session, insert};

use super::schema::{Seat, TABLES, Token, User};
use crate::support;

async fn recorded() -> (Db, Recorder) {
    let recorder = Recorder::new();
    let config = support::config(support::url()).observer(recorder.observer());
    let db = Db::connect_with(&config).await.unwrap();
    db.execute_script(TABLES).await.unwrap();
    let users: Repo<User> = db.repo();
    let rows = (1..=64).map(|number: i32| {
        insert!(User {
            full_name: "x",
            email: number.to_string()
        })
    });
    users.insert_many(rows.collect()).await.unwrap();
    recorder.clear();
    (db, recorder)
}

#[tokio::test]
async fn finds_of_many_tasks_are_few_statements() {
    let (db, recorder) = recorded().await;
    let users: Arc<dyn Repository<User>> = Arc::new(db.repo());
    let mut tasks = Vec::new();
    for key in 1..=65 {
        let users = Arc::clone(&users);
        tasks.push((
            key,
            tokio::spawn(async move { users.find(key).await.unwrap() }),
        ));
    }
    for (key, task) in tasks {
        let found = task.await.unwrap();
        let wanted = (key <= 64).then_some(key);
        assert_eq!(found.map(|user| user.id), wanted);
    }
    let statements = recorder.statements();
    assert!((1..=10).contains(&statements.len()), "{statements:?}");
    let text = &statements[0].sql;
    assert!(
        text.contains("\"id\" = any ($1) and \"deletedAt\" is null"),
        "{text}"
    );
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn in_a_transaction_each_find_is_a_statement_on_its_connection() {
    let (db, recorder) = recorded().await;
    let users: Repo<User> = db.repo();
    let found = db.with_transaction(async |_| {
        let row = insert!(User {
            full_name: "new",
            email: "new"
        });
        let new = users.insert(row).await?;
        // Nobody outside sees it yet.
        let (one, other) = tokio::join!(users.find(new.id), users.find(1));
        assert_eq!(one?.as_ref(), Some(&new));
        assert!(other?.is_some());
        Ok::<_, Error>(new.id)
    });
    let id = found.await.unwrap();
    let statements = recorder.statements();
    let finds = statements.iter().filter(|one| one.sql.contains("any ($1)"));
    assert_eq!(finds.filter(|one| one.in_transaction).count(), 2);

    recorder.clear();
    let tx = db.begin().await.unwrap();
    let within: Repo<User> = tx.repo();
    assert!(within.delete(id).await.unwrap());
    let (one, other) = tokio::join!(within.find(id), within.find(1));
    assert_eq!(
        (one.unwrap(), other.unwrap().map(|user| user.id)),
        (None, Some(1))
    );
    assert!(users.find(id).await.unwrap().is_some());
    let finds = recorder.statements();
    let finds = finds.iter().filter(|one| one.in_transaction);
    assert_eq!(finds.count(), 3);
    tx.rollback().await.unwrap();
    let error = within.find(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    drop(within);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn keys_of_other_types_are_found_too() {
    let (db, recorder) = recorded().await;
    let tokens: Repo<Token> = db.repo();
    let ids = [1, 2, 3].map(|number| format!("00000000-0000-4000-8000-00000000000{number}"));
    for id in &ids {
        let row = insert!(Token {
            id: id.clone(),
            note: "x"
        });
        tokens.insert(row).await.unwrap();
    }
    let found = tokio::join!(
        tokens.find(ids[0].clone()),
        tokens.find(ids[1].clone()),
        tokens.find(ids[2].clone()),
    );
    for (found, id) in [found.0, found.1, found.2].into_iter().zip(&ids) {
        assert_eq!(&found.unwrap().unwrap().id, id);
    }
    let many = tokens.find_many(ids.to_vec()).await.unwrap();
    assert!(many.into_iter().all(|token| token.is_some()));

    // Lists go by COPY, which takes them whole.
    let row = insert!(Token {
        id: "00000000-0000-4000-8000-000000000009",
        note: "y",
        tags: vec!["a".to_owned(), "b".to_owned()]
    });
    recorder.clear();
    assert_eq!(tokens.insert_many(vec![row]).await.unwrap(), 1);
    let statements = recorder.statements();
    assert!(
        statements.iter().any(|one| one.sql.starts_with("copy")),
        "{statements:?}"
    );
    let token = tokens.get("00000000-0000-4000-8000-000000000009".to_owned());
    assert_eq!(token.await.unwrap().tags, ["a", "b"]);
    let key = ("a".to_owned(), 1);
    assert_eq!(db.repo::<Seat>().find(key).await.unwrap(), None);
}

#[derive(Debug, PartialEq, Entity)]
#[entity(table = "prices")]
struct Price {
    #[entity(key)]
    amount: aquifer::types::Numeric,
}

#[tokio::test]
async fn keys_that_bytes_do_not_tell_apart_are_found_alone() {
    let (db, recorder) = recorded().await;
    let rows =
        "create table prices (amount numeric primary key); insert into prices values (1.50), (2)";
    db.execute_script(rows).await.unwrap();
    let prices: Repo<Price> = db.repo();
    let key = |text: &str| text.parse::<aquifer::types::Numeric>().unwrap();
    for text in ["1.5", "2.0", "2", "2.00"] {
        assert!(prices.find(key(text)).await.unwrap().is_some(), "{text}");
    }
    recorder.clear();
    assert!(prices.find(key("2.0")).await.unwrap().is_some());
    recorder.assert_queries(1);
    let error = prices.find_many(vec![key("1.5")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("keys of Price"), "{error}");
}

#[tokio::test]
async fn a_uuid_is_found_in_each_of_its_spellings() {
    let (db, _) = recorded().await;
    let tokens: Repo<Token> = db.repo();
    let lower = "0000000a-0000-4000-8000-000000000000";
    let row = insert!(Token {
        id: lower,
        note: "x"
    });
    tokens.insert(row).await.unwrap();
    let spellings = [lower.to_owned(), lower.to_uppercase()];
    let mut tasks = tokio::task::JoinSet::new();
    for spelling in spellings.iter().cycle().take(60) {
        let (tokens, spelling) = (tokens.clone(), spelling.clone());
        tasks.spawn(async move { tokens.find(spelling).await.unwrap().is_some() });
    }
    assert!(tasks.join_all().await.into_iter().all(|found| found));
    let many = tokens.find_many(spellings.into()).await.unwrap();
    let ids = many.into_iter().map(|token| token.unwrap().id);
    assert_eq!(ids.collect::<Vec<_>>(), [lower, lower]);
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "names")]
struct Name {
    #[entity(key)]
    text: String,
}

#[tokio::test]
async fn texts_that_are_equal_in_another_way_are_found_or_refused_together() {
    let (db, _) = recorded().await;
    db.execute_script("create extension if not exists citext schema pg_catalog")
        .await
        .unwrap();
    let names: Repo<Name> = db.repo();
    let both = |one: &str, other: &str| vec![one.to_owned(), other.to_owned()];
    for table in [
        "create table names (text char(5) primary key)",
        "alter table names alter text type citext",
    ] {
        db.execute_script(table).await.unwrap();
        names.delete("ann".to_owned()).await.unwrap();
        names.insert(insert!(Name { text: "ann" })).await.unwrap();
        let many = names.find_many(both("ann", "ann  ")).await;
        if table.contains("char") {
            let found = many.unwrap();
            assert!(found.iter().all(Option::is_some), "{found:?}");
        }
    }
    let error = names.find_many(both("ann", "ANN")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("keys of Name"), "{error}");
    assert!(names.find("ANN".to_owned()).await.unwrap().is_some());
}
