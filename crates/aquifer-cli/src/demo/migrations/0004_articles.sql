-- What two processes have in their cache.
create table articles (
    id bigint primary key,
    price bigint not null
);
