//~ error[E0277]: `WindowFunction<Anywhere, i64>` can't be selected
//~ expected a column or an expression
//~ note: a window function is selected with its window: row_number().over(window()…)
include!("schema.rs");

fn main() {
    Post::query().select((Post::ID, row_number()));
}
