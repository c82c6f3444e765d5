//~ error[E0277]: `Mood` can't be read from a column
//~     mood: Mood,
//~           ^^^^
//~ error[E0277]: `Mood` is no type of a column
//~     mood: Mood,
//~           ^^^^ no value of a column has this type
//~ note: derive `Decode` and `Encode` for it
use aquifer::entity::Entity;

enum Mood {
    Glad,
}

#[derive(Entity)]
#[entity(table = "users")]
struct User {
    #[entity(key)]
    id: i64,
    mood: Mood,
}

fn main() {}
