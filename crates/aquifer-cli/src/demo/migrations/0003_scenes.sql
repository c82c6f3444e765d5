-- What single steps write to.
create table halves (
    call bigint,
    half int,
    primary key (call, half)
);
create table payments (
    reason text not null,
    amount bigint not null
);
create table readings (
    sensor int not null,
    value bigint not null
);
