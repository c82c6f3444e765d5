use sqlx::{Error, PgPool};

const CREATE: &str =
    "create table if not exists users (id bigserial primary key, name text not null)";
const INSERT: &str = "insert into users (name) values ($1) returning id";
const SELECT: &str = "select name from users where id = $1";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let pool = PgPool::connect("postgres://localhost/app").await?;
    sqlx::query(CREATE).execute(&pool).await?;
    let id: i64 = sqlx::query_scalar(INSERT)
        .bind("John")
        .fetch_one(&pool)
        .await?;
    let names: Vec<String> = sqlx::query_scalar(SELECT).bind(id).fetch_all(&pool).await?;
    println!("{id}: {names:?}");
    pool.close().await;
    Ok(())
}
