create table accounts (
    id bigint primary key,
    balance bigint not null check (balance >= 0)
);
create table transfers (
    debtor bigint not null references accounts,
    creditor bigint not null references accounts,
    amount bigint not null check (amount > 0)
);
