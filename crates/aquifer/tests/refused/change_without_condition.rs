//~ error[E0277]: this would change every row of the table
//~     let _sent = User::update().set(User::NICK, "x").execute(db);
//~                                                     ^^^^^^^ no condition was given
//~ note: add .filter(…), or .all_rows() where that is meant
include!("schema.rs");

fn clear(db: &Db) {
    let _sent = User::update().set(User::NICK, "x").execute(db);
}

fn main() {}
