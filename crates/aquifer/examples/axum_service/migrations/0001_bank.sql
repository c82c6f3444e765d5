create table accounts (
    id bigint generated always as identity primary key,
    owner text not null unique,
    balance bigint not null check (balance >= 0)
);

create table transfers (
    id bigint generated always as identity primary key,
    debtor bigint not null references accounts,
    creditor bigint not null references accounts,
    amount bigint not null check (amount > 0)
);
