create table posts (
    id bigint generated always as identity primary key,
    user_id bigint not null references users,
    title text not null,
    views int not null default 0,
    lock_version int not null default 1,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);
