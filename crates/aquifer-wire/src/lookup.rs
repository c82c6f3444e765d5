//! Types that PostgreSQL has no fixed OID for: enums, composites, domains, ranges of the user's own.

use std::pin::Pin;

use postgres_types::Field as Attribute;

use crate::queue::Sharing;
use crate::reply::Field;
use crate::statement::{Column, Columns};
use crate::types::{Kind as TypeKind, Type};
use crate::{Client, Error};

const TYPE: &str = "\
    select t.typname::text, n.nspname::text, t.typtype::text, t.typelem, t.typbasetype, t.typrelid, \
           coalesce(r.rngsubtype, 0::oid), coalesce(m.rngsubtype, 0::oid), t.typlen \
    from pg_catalog.pg_type t \
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace \
    left join pg_catalog.pg_range r on r.rngtypid = t.oid \
    left join pg_catalog.pg_range m on m.rngmultitypid = t.oid \
    where t.oid = $1";

const LABELS: &str = "\
    select enumlabel::text from pg_catalog.pg_enum where enumtypid = $1 order by enumsortorder";

const ATTRIBUTES: &str = "\
    select attname::text, atttypid from pg_catalog.pg_attribute \
    where attrelid = $1 and attnum > 0 and not attisdropped order by attnum";

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The columns of a description, with their types.
pub(crate) async fn columns(
    client: &Client,
    fields: &[Field],
    sharing: Sharing,
) -> Result<Columns, Error> {
    let mut list = Vec::with_capacity(fields.len());
    for field in fields {
        list.push(Column::new(
            &field.name,
            ty(client, field.ty, sharing).await?,
            field.table,
        ));
    }
    Ok(Columns::new(list))
}

/// The type of that OID, from the catalog kept here or on the server.
pub(crate) async fn ty(client: &Client, oid: u32, sharing: Sharing) -> Result<Type, Error> {
    match client.catalog().ty(oid) {
        Some(ty) => Ok(ty),
        None => ask(client, oid, sharing).await,
    }
}

/// Boxed: types nest (an array of a composite of a domain), and so does this.
fn ask(client: &Client, oid: u32, sharing: Sharing) -> Boxed<'_, Type> {
    Box::pin(async move {
        let reply = client.query(TYPE, &(oid,), sharing).await?;
        let Some(row) = reply.rows().next() else {
            // Dropped meanwhile: values are handed out raw.
            return Ok(Type::new(
                "unknown".to_owned(),
                oid,
                TypeKind::Simple,
                "pg_catalog".to_owned(),
            ));
        };
        let (name, schema): (String, String) = (row.get(0)?, row.get(1)?);
        let form: String = row.get(2)?;
        let (element, base, relation): (u32, u32, u32) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let (range, multirange): (u32, u32) = (row.get(6)?, row.get(7)?);
        let length: i16 = row.get(8)?;
        let kind = match form.as_str() {
            "e" => TypeKind::Enum(labels(client, oid, sharing).await?),
            "d" => TypeKind::Domain(ty(client, base, sharing).await?),
            "c" => TypeKind::Composite(attributes(client, relation, sharing).await?),
            "r" => TypeKind::Range(ty(client, range, sharing).await?),
            "m" => TypeKind::Multirange(ty(client, multirange, sharing).await?),
            "p" => TypeKind::Pseudo,
            // A type of variable length with elements is an array; `name` and `point` are not.
            _ if element != 0 && length == -1 => {
                TypeKind::Array(ty(client, element, sharing).await?)
            }
            _ => TypeKind::Simple,
        };
        let ty = Type::new(name, oid, kind, schema);
        client.catalog().keep_type(ty.clone());
        Ok(ty)
    })
}

async fn labels(client: &Client, oid: u32, sharing: Sharing) -> Result<Vec<String>, Error> {
    let reply = client.query(LABELS, &(oid,), sharing).await?;
    reply.rows().map(|row| row.get(0)).collect()
}

async fn attributes(
    client: &Client,
    relation: u32,
    sharing: Sharing,
) -> Result<Vec<Attribute>, Error> {
    let reply = client.query(ATTRIBUTES, &(relation,), sharing).await?;
    let mut attributes = Vec::with_capacity(reply.len());
    for row in reply.rows() {
        let (name, oid): (String, u32) = (row.get(0)?, row.get(1)?);
        attributes.push(Attribute::new(name, ty(client, oid, sharing).await?));
    }
    Ok(attributes)
}
