//~ error[E0277]: `&str` can't be compared with a column of type `i64`
//~     User::query().filter(User::ID.eq("1"));
//~                                   -- ^^^ expected a value of type `i64`
include!("schema.rs");

fn main() {
    User::query().filter(User::ID.eq("1"));
}
