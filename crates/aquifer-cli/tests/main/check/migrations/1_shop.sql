create table users (
    id bigint generated always as identity primary key,
    email text not null unique
);
create table posts (
    id bigint generated always as identity primary key,
    user_id bigint not null references users,
    title text not null,
    views int not null default 0,
    deleted_at timestamptz
);
create index posts_by_user on posts (user_id, id);
