//! Which tables a query reads, told by types.

use std::marker::PhantomData;

use aquifer_wire::types::ColumnType;

use super::{Col, Meta, Relation};

/// Types that a type is told apart by, and of which it holds nothing.
pub(super) type Phantom<A, B> = PhantomData<fn() -> (A, B)>;

/// What columns are read from: an entity's table, or another name of it (see [`alias!`](crate::alias)).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no table",
    note = "derive `Entity` for it, or make an alias by `alias!`; for the rows of a query derive \
            `DerivedTable`"
)]
pub trait Source: Sized + 'static {
    /// The entity, or the [`DerivedTable`](super::DerivedTable).
    type Of;
    /// Its name in the statement, if that is not the table's own.
    const ALIAS: Option<&'static str> = None;
    #[doc(hidden)]
    const TABLE: &'static Meta;

    /// How this table is joined: its column and the one that it must be equal to.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "users")] struct User { #[entity(key)] id: i64 }
    /// # #[derive(Entity)] #[entity(table = "posts")]
    /// # struct Post { #[entity(key)] id: i64, user_id: i64 }
    /// let with_posts = User::query().join(Post::on(Post::USER_ID, User::ID));
    /// ```
    #[must_use]
    fn on<O: Source, T: ColumnType, U: ColumnType<Value = T::Value>>(
        own: Col<Self, T>,
        other: Col<O, U>,
    ) -> Relation<O, Self> {
        Relation::new(other, own)
    }
}

/// The tables `S` and, where a row fits, `J`.
#[derive(Debug)]
pub struct Joined<S, J>(Phantom<S, J>);

/// The tables `S` and `J`, whose columns are NULL where no row fits.
#[derive(Debug)]
pub struct LeftJoined<S, J>(Phantom<S, J>);

/// The tables `S`, whose columns are NULL where no row fits, and `J`.
#[derive(Debug)]
pub struct RightJoined<S, J>(Phantom<S, J>);

/// The tables `S` and `J`; the columns of either are NULL where none of its rows fits.
#[derive(Debug)]
pub struct FullJoined<S, J>(Phantom<S, J>);

/// The tables `S`, and the table `O` of the query around.
#[derive(Debug)]
pub struct Correlated<S, O>(Phantom<S, O>);

/// No table: what is computed from none may stand in every query.
#[derive(Debug)]
pub struct Anywhere(());

/// Conditions on the tables of both `A` and `B`.
#[derive(Debug)]
pub struct Both<A, B>(Phantom<A, B>);

/// What is computed from columns of `P` and is not NULL even where no row fits, as `count` is.
#[derive(Debug)]
pub struct Steady<P>(PhantomData<fn() -> P>);

/// That the table `Self` is read by a query over `Scope`; `Index` says where, and is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not part of this query",
    label = "join `{Self}` before its columns are used",
    note = "join it by a relation, as in .join(User::POSTS), or by .join(Post::on(Post::USER_ID, \
            User::ID))",
    note = "in a query within another one, name the table around by .outer::<User>()"
)]
pub trait In<Scope, Index> {
    /// Whether its columns may be NULL because no row fitted.
    type Side: Side;
}

/// The last table of a scope.
#[derive(Debug)]
pub struct Here(());

/// Further to the front.
#[derive(Debug)]
pub struct There<I>(PhantomData<I>);

/// Whether columns may be NULL because no row fitted.
pub trait Side {
    /// The type that a column of type `T` has in results.
    type Of<T: ColumnType>;
    /// The same for what is computed from columns of both sides.
    type And<O: Side>: Side;
}

/// There is always a row.
#[derive(Debug)]
pub struct Always(());

/// There may be no row.
#[derive(Debug)]
pub struct Perhaps(());

impl Side for Always {
    type Of<T: ColumnType> = T;
    type And<O: Side> = O;
}

impl Side for Perhaps {
    type Of<T: ColumnType> = T::Nullable;
    type And<O: Side> = Self;
}

impl<E: Source> In<E, Here> for E {
    type Side = Always;
}

impl<S, J: Source> In<Joined<S, J>, Here> for J {
    type Side = Always;
}

impl<S, J: Source> In<LeftJoined<S, J>, Here> for J {
    type Side = Perhaps;
}

impl<S, J: Source> In<RightJoined<S, J>, Here> for J {
    type Side = Always;
}

impl<S, J: Source> In<FullJoined<S, J>, Here> for J {
    type Side = Perhaps;
}

impl<S, O: Source> In<Correlated<S, O>, Here> for O {
    type Side = Always;
}

impl<E: Source + In<S, I>, S, J, I> In<RightJoined<S, J>, There<I>> for E {
    type Side = Perhaps;
}

impl<E: Source + In<S, I>, S, J, I> In<FullJoined<S, J>, There<I>> for E {
    type Side = Perhaps;
}

impl<E: Source + In<S, I>, S, O, I> In<Correlated<S, O>, There<I>> for E {
    type Side = E::Side;
}

impl<S> In<S, ()> for Anywhere {
    type Side = Always;
}

impl<E: Source + In<S, I>, S, J, I> In<Joined<S, J>, There<I>> for E {
    type Side = E::Side;
}

impl<E: Source + In<S, I>, S, J, I> In<LeftJoined<S, J>, There<I>> for E {
    type Side = E::Side;
}

impl<A: In<S, I>, B: In<S, K>, S, I, K> In<S, (I, K)> for Both<A, B> {
    type Side = <A::Side as Side>::And<B::Side>;
}

impl<P: In<S, I>, S, I> In<S, Steady<I>> for Steady<P> {
    type Side = Always;
}

/// Another name of an entity's table, for statements that read the table twice.
///
/// ```
/// # use aquifer::entity::*;
/// # #[derive(Entity)] #[entity(table = "users")]
/// # struct User { #[entity(key)] id: i64, name: String, manager_id: Option<i64> }
/// aquifer::alias!(Manager = User as "manager");
///
/// let names = User::query()
///     .left_join(Manager::on(User::ID.of(Manager), User::MANAGER_ID))
///     .select((User::NAME, User::NAME.of(Manager))); // (String, Option<String>)
/// ```
#[macro_export]
macro_rules! alias {
    ($visibility:vis $name:ident = $entity:ty as $alias:literal) => {
        #[doc = concat!("The table of `", stringify!($entity), "` by the name `", $alias, "`.")]
        #[derive(Clone, Copy, Debug)]
        $visibility struct $name;

        impl $crate::entity::Source for $name {
            type Of = $entity;
            const TABLE: &'static $crate::entity::Meta = <$entity as $crate::entity::Source>::TABLE;
            const ALIAS: ::core::option::Option<&'static str> = ::core::option::Option::Some($alias);
        }

        const _: () = $crate::entity::check::name($alias);
    };
}
