create table users (
    id bigint generated always as identity primary key,
    name text not null,
    email text unique,
    active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz
);
create table profiles (
    user_id bigint primary key references users,
    bio text not null
);
