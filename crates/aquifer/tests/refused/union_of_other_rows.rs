//~ error[E0308]: mismatched types
//~ expected `Query<_, User>`, found `Query<Post>`
include!("schema.rs");

fn main() {
    User::query().union(Post::query());
}
