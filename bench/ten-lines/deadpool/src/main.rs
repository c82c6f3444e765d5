#[cfg(feature = "cache")]
mod cache;

use std::sync::Arc;

use deadpool_postgres::{Config, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

type Error = Box<dyn std::error::Error + Send + Sync>;

const CREATE: &str =
    "create table if not exists users (id bigserial primary key, name text not null)";
const INSERT: &str = "insert into users (name) values ($1) returning id";
const SELECT: &str = "select name from users where id = $1";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let pool = pool("postgres://localhost/app")?;
    let connection = pool.get().await?;
    connection.batch_execute(CREATE).await?;
    let statement = connection.prepare_cached(INSERT).await?;
    let id: i64 = connection.query_one(&statement, &[&"John"]).await?.get(0);
    drop(connection);
    #[cfg(feature = "cache")]
    let names = {
        let cache = cache::Names::connect("redis://localhost", pool.clone()).await?;
        cache.get(id).await.map_err(|error| error.to_string())?
    };
    #[cfg(not(feature = "cache"))]
    let names = load(&pool, id).await?;
    println!("{id}: {names:?}");
    pool.close();
    Ok(())
}

fn pool(url: &str) -> Result<Pool, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Config {
        url: Some(url.to_owned()),
        manager: Some(ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        }),
        ..Config::new()
    };
    Ok(config.create_pool(Some(Runtime::Tokio1), MakeRustlsConnect::new(tls))?)
}

async fn load(pool: &Pool, id: i64) -> Result<Vec<String>, Error> {
    let connection = pool.get().await?;
    let statement = connection.prepare_cached(SELECT).await?;
    let rows = connection.query(&statement, &[&id]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
