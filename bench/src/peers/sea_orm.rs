//! SeaORM with entities, 10 connections, its defaults but for the log.

mod entities;

use chrono::DateTime;
use sea_orm::prelude::*;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, Set, Statement, TransactionTrait};

use self::entities::{account, bulk, event, user};
use crate::contender::race;
use crate::statements::{BODY, NAME, SLOW};
use crate::{Contender, Entry, Error, User, Workload};

/// Rows of one INSERT.
const CHUNK: usize = 1_000;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "SeaORM",
    offers: &[
        Workload::Select,
        Workload::Decode,
        Workload::Insert,
        Workload::Update,
        Workload::Transaction,
        Workload::Bulk,
        Workload::Slow,
        Workload::Storm,
    ],
    open: |place| {
        Box::pin(async move {
            let mut options = ConnectOptions::new(place.url());
            options.max_connections(10).sqlx_logging(false);
            Ok(race(SeaOrm(Database::connect(options).await?)))
        })
    },
}];

struct SeaOrm(DatabaseConnection);

impl From<user::Model> for User {
    fn from(model: user::Model) -> Self {
        Self {
            id: model.id,
            name: model.name,
            email: model.email,
            active: model.active,
            created_at: model.created_at.into(),
        }
    }
}

async fn insert(connection: &impl ConnectionTrait, user: i64) -> Result<u64, DbErr> {
    let row = event::ActiveModel {
        user_id: Set(user),
        body: Set(BODY.to_owned()),
        n: Set(5),
        ..Default::default()
    };
    let insert = event::Entity::insert(row);
    insert.exec_without_returning(connection).await
}

async fn update(connection: &impl ConnectionTrait, account: i64) -> Result<u64, DbErr> {
    let update = account::Entity::update_many()
        .col_expr(account::Column::Name, Expr::value(NAME))
        .filter(account::Column::Id.eq(account));
    Ok(update.exec(connection).await?.rows_affected)
}

impl Contender for SeaOrm {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let found = user::Entity::find_by_id(id).one(&self.0).await?;
        Ok(found.ok_or("no such user")?.into())
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        let range = user::Entity::find().filter(user::Column::Id.between(first, last));
        let found = range.all(&self.0).await?;
        Ok(found.into_iter().map(User::from).collect())
    }

    async fn insert(&self, user: i64) -> Result<u64, Error> {
        Ok(insert(&self.0, user).await?)
    }

    async fn update(&self, account: i64) -> Result<u64, Error> {
        Ok(update(&self.0, account).await?)
    }

    async fn transaction(&self, key: i64) -> Result<u64, Error> {
        let transaction = self.0.begin().await?;
        let touched = update(&transaction, key).await? + insert(&transaction, key).await?;
        transaction.commit().await?;
        Ok(touched)
    }

    async fn load(&self, users: &[User]) -> Result<u64, Error> {
        let transaction = self.0.begin().await?;
        let mut written = 0;
        for users in users.chunks(CHUNK) {
            let rows = users.iter().map(|user| bulk::ActiveModel {
                id: Set(user.id),
                name: Set(user.name.clone()),
                email: Set(user.email.clone()),
                active: Set(user.active),
                created_at: Set(DateTime::from(user.created_at)),
            });
            let insert = bulk::Entity::insert_many(rows);
            written += insert.exec_without_returning(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(written)
    }

    async fn slow(&self, seconds: f64) -> Result<(), Error> {
        let backend = self.0.get_database_backend();
        let slow = Statement::from_sql_and_values(backend, SLOW, [seconds.into()]);
        self.0.query_one_raw(slow).await?;
        Ok(())
    }
}
