create table users (
    id bigint generated always as identity primary key,
    name text not null,
    active boolean not null default true
);
create table profiles (
    user_id bigint primary key references users,
    bio text not null
);
