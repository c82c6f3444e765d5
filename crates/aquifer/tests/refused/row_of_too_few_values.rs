//~ error[E0277]: `({integer},)` can't be compared with a row of `(i64, i64)`
//~ ^^^^ expected a tuple of one value for each column
include!("schema.rs");

fn main() {
    Post::query().filter(row((Post::USER_ID, Post::ID)).gt((1,)));
}
