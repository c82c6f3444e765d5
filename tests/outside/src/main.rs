use aquifer::{Db, Error, Session};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let db = Db::connect("postgres://localhost/app").await?;
    db.execute("create table if not exists users (id bigserial primary key, name text not null)", ()).await?;
    let id: i64 = db.query_value("insert into users (name) values ($1) returning id", ("John",)).await?;
    let names: Vec<String> = db.query_column("select name from users where id = $1", (id,)).await?;
    println!("{id}: {names:?}");
    db.close().await
}
