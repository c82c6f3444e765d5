use std::collections::{HashMap, HashSet};

use aquifer_wire::types::{IntoValue, Value};

use super::Repository;
use super::identity::Identity;
use crate::entity::{Entity, Meta, Pred, Query, Relation, Values};
use crate::session::SessionFuture;
use crate::{Error, ErrorKind};

impl<A: Entity, B: Entity> Relation<A, B> {
    /// The rows of `B` that belong to each of these rows, by one statement (`= any($1)`): the first
    /// list is that of the first row, and so on. In a list they stand by their key.
    ///
    /// The repository is that of `B`: a [`Repo`](super::Repo), a `dyn Repository`, a fake. Rows that
    /// are marked as deleted are passed over. No row is no statement.
    ///
    /// ```
    /// # use aquifer::{Error, Repository, entity::Entity};
    /// # #[derive(Clone, Entity)] #[entity(table = "users", has_many(POSTS = Post::USER_ID))]
    /// # struct User { #[entity(key)] id: i64, name: String }
    /// # #[derive(Clone, Entity)] #[entity(table = "posts", has_many(COMMENTS = Comment::POST_ID))]
    /// # struct Post { #[entity(key)] id: i64, #[entity(belongs_to = User::ID)] user_id: i64 }
    /// # #[derive(Clone, Entity)] #[entity(table = "comments")]
    /// # struct Comment { #[entity(key)] id: i64, post_id: i64 }
    /// # async fn example(users: Vec<User>, posts: &dyn Repository<Post>,
    /// #     comments: &dyn Repository<Comment>) -> Result<(), Error> {
    /// let posts = User::POSTS.load(&users, posts).await?;
    /// for (user, posts) in users.iter().zip(&posts) {
    ///     println!("{}: {} posts", user.name, posts.len());
    /// }
    /// // And one step further, for all posts at once.
    /// let comments = Post::COMMENTS.load(posts.iter().flatten(), comments).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Repository::fetch`]; [`ErrorKind::Usage`] for columns of types that PostgreSQL does not
    /// compare byte by byte, such as numeric.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[doc(alias("include", "preload", "eager", "with"))]
    #[track_caller]
    pub fn load<'a, 'p>(
        self,
        rows: impl IntoIterator<Item = &'p A>,
        others: &'a (impl Repository<B> + ?Sized),
    ) -> SessionFuture<'a, Vec<Vec<B>>>
    where
        A: 'p,
        B: Clone,
    {
        self.load_of(rows, B::query(), others)
    }

    /// As [`load`](Self::load), of the rows of a query only, in its order: for the published posts,
    /// the newest first.
    ///
    /// # Errors
    /// As [`load`](Self::load). A limit of the query counts for all lists together.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[track_caller]
    pub fn load_of<'a, 'p>(
        self,
        rows: impl IntoIterator<Item = &'p A>,
        query: Query<B>,
        others: &'a (impl Repository<B> + ?Sized),
    ) -> SessionFuture<'a, Vec<Vec<B>>>
    where
        A: 'p,
        B: Clone,
    {
        let (from, to) = self.columns();
        let wanted = rows.into_iter().map(|row| value(row, A::META, from));
        let wanted = wanted.collect::<Result<Wanted, Error>>();
        let Wanted { of_rows, distinct } = match wanted {
            Ok(wanted) => wanted,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        if distinct.is_empty() {
            let none = of_rows.iter().map(|_| Vec::new()).collect();
            return Box::pin(std::future::ready(Ok(none)));
        }
        let (asked, values): (Vec<_>, Vec<_>) = distinct.into_iter().unzip();
        let again =
            (asked.iter().any(|identity| identity.text_of().is_some())).then(|| query.clone());
        let condition = Pred::<B>::of_column(to, values);
        let found = others.fetch(query.filter(condition).ordered_by_key());
        Box::pin(async move {
            let groups = asked.into_iter().map(|identity| (identity, Vec::new()));
            let mut groups: HashMap<Identity, Vec<B>> = groups.collect();
            let found = found.await?;
            for row in found {
                let identity = value(&row, B::META, to)?.map(|(_, identity)| identity);
                match identity.and_then(|identity| groups.get_mut(&identity)) {
                    Some(group) => group.push(row),
                    // Else it would look as if there were no row.
                    None => return Err(not_told_apart(B::META, to)),
                }
            }
            let doubtful = doubtful(&groups);
            if let Some(query) = again
                && !doubtful.is_empty()
            {
                without_doubt(query, to, doubtful, others).await?;
            }
            let group = |wanted: &Option<Identity>| groups.get(wanted.as_ref()?).cloned();
            Ok(of_rows
                .iter()
                .map(|wanted| group(wanted).unwrap_or_default())
                .collect())
        })
    }

    /// The row of `B` that belongs to each of these rows: what `belongs_to` names, or the only one of
    /// `has_many` where there is at most one.
    ///
    /// ```
    /// # use aquifer::{Error, Repository, entity::Entity};
    /// # #[derive(Clone, Entity)] #[entity(table = "users")]
    /// # struct User { #[entity(key)] id: i64, name: String }
    /// # #[derive(Clone, Entity)] #[entity(table = "posts")]
    /// # struct Post { #[entity(key)] id: i64, #[entity(belongs_to = User::ID)] user_id: i64 }
    /// # async fn example(posts: Vec<Post>, users: &dyn Repository<User>) -> Result<(), Error> {
    /// let authors: Vec<Option<User>> = Post::USER.load_one(&posts, users).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`load`](Self::load); [`ErrorKind::TooManyRows`] where several belong to one row.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[track_caller]
    pub fn load_one<'a, 'p>(
        self,
        rows: impl IntoIterator<Item = &'p A>,
        others: &'a (impl Repository<B> + ?Sized),
    ) -> SessionFuture<'a, Vec<Option<B>>>
    where
        A: 'p,
        B: Clone,
    {
        let lists = self.load(rows, others);
        Box::pin(async move { lists.await?.into_iter().map(at_most_one).collect() })
    }
}

/// Texts without rows that differ from ones with rows only as citext, char(n), and UUIDs as text take
/// no notice of: their rows may have come under the other spelling.
fn doubtful<B>(groups: &HashMap<Identity, Vec<B>>) -> HashSet<Identity> {
    let of = |found: bool| {
        let groups = groups
            .iter()
            .filter(move |(_, rows)| rows.is_empty() != found);
        groups.filter_map(|(identity, _)| Some((identity.likeness()?, identity)))
    };
    let found: HashSet<String> = of(true).map(|(likeness, _)| likeness).collect();
    let doubtful = of(false).filter(|(likeness, _)| found.contains(likeness));
    doubtful.map(|(_, identity)| identity.clone()).collect()
}

/// Asks again for these alone: rows that come belong to them, or can't be told apart.
async fn without_doubt<B: Entity>(
    query: Query<B>,
    column: &'static str,
    doubtful: HashSet<Identity>,
    others: &(impl Repository<B> + ?Sized),
) -> Result<(), Error> {
    let texts = doubtful.iter().filter_map(|identity| identity.text_of());
    let texts = texts.map(|text| text.to_owned().into_value()).collect();
    let rows = others.fetch(query.filter(Pred::<B>::of_column(column, texts)));
    for row in rows.await? {
        let told = value(&row, B::META, column)?;
        if told.is_none_or(|(_, identity)| !doubtful.contains(&identity)) {
            return Err(not_told_apart(B::META, column));
        }
    }
    Ok(())
}

/// A value, and what it is told apart by.
type Told = (Value, Identity);

/// What rows of another table are asked for.
#[derive(Default)]
struct Wanted {
    /// For each row; `None` for NULL, to which nothing belongs.
    of_rows: Vec<Option<Identity>>,
    distinct: HashMap<Identity, Value>,
}

impl FromIterator<Option<Told>> for Wanted {
    fn from_iter<I: IntoIterator<Item = Option<Told>>>(values: I) -> Self {
        let mut wanted = Self::default();
        for value in values {
            let identity = value.map(|(value, identity)| {
                wanted.distinct.insert(identity.clone(), value);
                identity
            });
            wanted.of_rows.push(identity);
        }
        wanted
    }
}

/// The value of one column of a row.
fn value<E: Entity>(row: &E, meta: &Meta, column: &str) -> Result<Option<Told>, Error> {
    let named = meta.columns().iter().zip(Values::of(row));
    let mut named = named.filter(|(known, _)| known.name() == column);
    let Some((_, value)) = named.next().filter(|(_, value)| !value.is_null()) else {
        return Ok(None);
    };
    match Identity::of(&value) {
        Some(identity) => Ok(Some((value, identity))),
        None => Err(not_told_apart(meta, column)),
    }
}

#[cold]
fn not_told_apart(meta: &Meta, column: &str) -> Error {
    let text = format!(
        "the values of {}.{column} can't be told apart byte by byte, as PostgreSQL compares them in \
         another way; join the tables instead",
        meta.entity()
    );
    Error::new(ErrorKind::Usage, text)
}

fn at_most_one<B: Entity>(mut rows: Vec<B>) -> Result<Option<B>, Error> {
    if rows.len() > 1 {
        let text = format!(
            "one row of {} was asked for and {} belong to one row; use `load`",
            B::META.entity(),
            rows.len()
        );
        return Err(Error::new(ErrorKind::TooManyRows, text));
    }
    Ok(rows.pop())
}
