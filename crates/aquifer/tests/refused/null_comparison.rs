//~ error[E0277]: `Option<_>` can't be compared with a column of type `String`
//~     User::query().filter(User::NICK.eq(None));
//~                                     -- ^^^^ expected a value of type `String`
//~ note: compare with NULL by `is_null()` and `is_not_null()`
include!("schema.rs");

fn main() {
    User::query().filter(User::NICK.eq(None));
}
