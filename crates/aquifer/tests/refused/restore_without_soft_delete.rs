//~ error[E0277]: rows of `Post` are not marked as deleted
//~     let _restore = Post::restore();
//~                    ^^^^
//~ note: name the column at the struct: #[entity(soft_delete = deleted_at)]
include!("schema.rs");

fn main() {
    let _restore = Post::restore();
}
