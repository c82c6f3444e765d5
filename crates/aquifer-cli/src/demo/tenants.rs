//! Rows of several tenants in one table, which policies of the server keep apart.

use aquifer::{Db, Error, Session};
use tokio::task::JoinSet;

use super::excerpt::excerpt;
use super::figures;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("tenants.rs");

const TENANTS: i32 = 8;
const TASKS: i32 = 64;
const READS: u32 = 20;
/// Of each tenant.
const INVOICES: i64 = 3;

const TABLE: &str = "
    create table invoices (tenant int not null, number int not null);
    insert into invoices select tenant, number
        from generate_series(0, 7) as tenant, generate_series(1, 3) as number;
    alter table invoices enable row level security;
    alter table invoices force row level security;
    create policy own on invoices using (tenant = current_setting('app.tenant')::int)";

/// Policies don't hold for a superuser, nor for a role that may go past them.
const IS_ABOVE: &str = "select rolsuper or rolbypassrls from pg_roles where rolname = current_user";
/// Every server has it, and policies hold for it.
const READER: &str = "pg_read_all_data";

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "Tenants, kept apart by the server",
        why: "A handle says whose it is with every statement, also on shared connections, and the \
              server's policies show it only its own rows: no query can forget its WHERE.",
        code: excerpt(SOURCE, "tenant"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let mut db = scene.db.clone();
    db.execute_script(TABLE).await?;
    if db.query_value::<bool>(IS_ABOVE, ()).await? {
        db = db.with_settings([("role", READER)])?;
    }
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let db = db.clone();
        tasks.spawn(async move { read(&db, task % TENANTS).await });
    }
    let (mut own, mut foreign) = (0_u64, 0_u64);
    while let Some(done) = tasks.join_next().await {
        let seen = done??;
        own += seen.0;
        foreign += seen.1;
    }
    let reads = u64::try_from(TASKS)? * u64::from(READS);
    step.check(
        foreign == 0 && own == reads * u64::try_from(INVOICES)?,
        &format!(
            "{} reads of {TENANTS} tenants at once saw {} rows of their own, and of others: {foreign}",
            figures::count(reads),
            figures::count(own)
        ),
    );
    Ok(())
}

/// Rows that the tenant saw: its own, and those of others.
async fn read(db: &Db, tenant: i32) -> Result<(u64, u64), Error> {
    let (mut own, mut foreign) = (0, 0);
    for _ in 0..READS {
        for seen in invoices(db, tenant).await? {
            if seen == tenant {
                own += 1;
            } else {
                foreign += 1;
            }
        }
    }
    Ok((own, foreign))
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn invoices(db: &Db, tenant: i32) -> Result<Vec<i32>, Error> {
    // ANCHOR: tenant
    let db = db.with_settings([("app.tenant", tenant.to_string())])?;
    db.query_column("select tenant from invoices", ()).await
    // ANCHOR_END: tenant
}
