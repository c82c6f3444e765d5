//~ error[E0277]: this inserts many rows, so there is no one value to set
//~ many rows are inserted
//~ give each row of `insert_many` its value
include!("schema.rs");

fn main() {
    let row = aquifer::insert!(Post { user_id: 1, title: "one" });
    Post::insert_many([row]).set(Post::TITLE, "two");
}
