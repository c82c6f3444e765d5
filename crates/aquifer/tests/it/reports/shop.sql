-- A shop, with data that is the same each time: everything is computed from the number of the row.

create table employees (
    id bigint primary key,
    name text not null,
    manager_id bigint references employees,
    salary numeric(10, 2) not null
);
create table customers (
    id bigint primary key,
    name text not null,
    email text not null unique,
    country text not null,
    created_at timestamptz not null,
    referred_by bigint references customers
);
create table addresses (
    id bigint primary key,
    customer_id bigint not null references customers,
    kind text not null check (kind in ('billing', 'shipping')),
    city text not null
);
create unique index addresses_one_billing on addresses (customer_id) where kind = 'billing';
create table categories (
    id bigint primary key,
    parent_id bigint references categories,
    name text not null
);
create table suppliers (
    id bigint primary key,
    name text not null,
    country text not null
);
create table products (
    id bigint primary key,
    sku text not null constraint products_sku unique,
    name text not null,
    description text not null,
    category_id bigint not null references categories,
    supplier_id bigint not null references suppliers,
    price numeric(10, 2) not null,
    stock int not null,
    tags text[] not null,
    attributes jsonb not null,
    deleted_at timestamptz
);
create table prices (
    product_id bigint not null references products,
    number int not null,
    valid daterange not null,
    amount numeric(10, 2) not null,
    primary key (product_id, number)
);
create table orders (
    id bigint primary key,
    customer_id bigint not null references customers,
    employee_id bigint references employees,
    status text not null,
    ordered_at timestamptz not null
);
create index on orders (customer_id);
create table order_lines (
    order_id bigint not null references orders,
    number int not null,
    product_id bigint not null references products,
    quantity int not null,
    unit_price numeric(10, 2) not null,
    primary key (order_id, number)
);
create table payments (
    id bigint primary key,
    order_id bigint not null references orders,
    method text not null,
    amount numeric(12, 2) not null,
    paid_at timestamptz not null
);
create table shipments (
    id bigint primary key,
    order_id bigint not null references orders,
    carrier text not null,
    shipped_at timestamptz not null,
    delivered_at timestamptz
);
create table reviews (
    id bigint primary key,
    product_id bigint not null references products,
    customer_id bigint not null references customers,
    rating int not null,
    body text not null,
    created_at timestamptz not null
);
create table stocks (
    product_id bigint primary key references products,
    pieces int not null,
    counted_at timestamptz not null
);
create table jobs (
    id bigint primary key,
    kind text not null,
    run_at timestamptz not null,
    taken_at timestamptz
);
create table archived_orders (
    order_id bigint primary key,
    customer_id bigint not null,
    total numeric(12, 2) not null
);

insert into employees
select n, 'Employee ' || n, case when n > 1 then n / 4 + 1 end, 2000 + n * 7919 % 5000
from generate_series(1, 30) n;
update employees set manager_id = null where id = 1;

insert into customers
select n, 'Customer ' || n, 'customer' || n || '@example.com',
       (array['DE', 'FR', 'IT', 'US', 'JP'])[1 + n * 31 % 5],
       timestamptz '2024-01-01 00:00+00' + (n * 37 % 500) * interval '1 day',
       case when n % 3 = 0 then n / 3 end
from generate_series(1, 400) n;

insert into addresses
select n, 1 + n % 400, case when n <= 300 then 'billing' else 'shipping' end,
       (array['Bonn', 'Lyon', 'Rome', 'Reno', 'Kobe', 'Kiel', 'Nice'])[1 + n * 13 % 7]
from generate_series(1, 650) n;

insert into categories
select n, case when n > 4 then n / 4 end, 'Category ' || n
from generate_series(1, 40) n;

insert into suppliers
select n, 'Supplier ' || n, (array['DE', 'CN', 'US'])[1 + n % 3]
from generate_series(1, 25) n;

insert into products
select n, 'SKU-' || lpad(n::text, 5, '0'), 'Product ' || n,
       (array['sturdy wooden table for the garden', 'running shoes, light and fast',
              'light garden chair made of steel', 'wooden toy, painted by hand',
              'warm shoes for the winter'])[1 + n * 17 % 5],
       1 + n * 11 % 40, 1 + n * 7 % 25, 5 + n * 7919 % 19000 / 100.0, n * 13 % 200,
       (array['new', 'sale', 'eco', 'gift', 'bulk'])[1 + n % 3 : 2 + n % 4],
       jsonb_build_object('colour', (array['red', 'green', 'blue'])[1 + n % 3],
                          'size', jsonb_build_object('weight', n % 50)),
       case when n % 29 = 0 then timestamptz '2025-06-01 00:00+00' end
from generate_series(1, 320) n;

insert into prices
select product, step,
       daterange(date '2024-01-01' + (step - 1) * 240 + product::int % 60,
                 case when step < 3 then date '2024-01-01' + step * 240 + product::int % 60 end),
       round(price * (0.8 + step * 0.1), 2)
from (select id as product, price from products) p, generate_series(1, 3) step;

-- Some days are without orders, as some products are, and some customers.
insert into orders
select n, 1 + (n * n * 7 + n * 13) % 370, case when n % 10 > 0 then 1 + n % 30 end,
       (array['open', 'paid', 'paid', 'shipped', 'shipped', 'shipped', 'cancelled'])[1 + n * 5 % 7],
       timestamptz '2024-03-01 08:00+00' + (n / 5 + n / 50 * 3) * interval '1 day'
           + (n * 97 % 600) * interval '1 minute'
from generate_series(1, 3000) n;

insert into order_lines
select n, line, 1 + (n * 53 + line * 101) % 300, 1 + (n + line) % 5,
       5 + (n * 53 + line * 101) % 300 * 79 % 190 + line * 0.25
from generate_series(1, 3000) n, generate_series(1, 1 + n % 4) line;

insert into payments
select row_number() over (order by o.id), o.id, (array['card', 'bank', 'cash'])[1 + o.id % 3],
       sum(l.quantity * l.unit_price), o.ordered_at + o.id % 72 * interval '1 hour'
from orders o join order_lines l on l.order_id = o.id
where o.status in ('paid', 'shipped')
group by o.id;

insert into shipments
select row_number() over (order by id), id, (array['Swift', 'Turtle', 'Owl'])[1 + id % 3],
       ordered_at + interval '1 day',
       case when id % 11 > 0 then ordered_at + (2 + id % 9) * interval '1 day' end
from orders where status = 'shipped';

insert into reviews
select n, 1 + n * 23 % 280, 1 + n * 41 % 300, 1 + n * 7 % 5,
       (array['very good and light', 'arrived broken', 'light but not sturdy',
              'good wooden work', 'my garden loves it'])[1 + n * 3 % 5],
       timestamptz '2024-06-01 00:00+00' + n * interval '9 hours'
from generate_series(1, 1500) n;

insert into stocks
select id, stock, timestamptz '2025-01-01 00:00+00' + id * interval '1 hour' from products;

insert into jobs
select n, (array['mail', 'invoice'])[1 + n % 2], timestamptz '2025-01-01 00:00+00' + n * interval '1 minute',
       case when n % 4 = 0 then timestamptz '2025-01-02 00:00+00' end
from generate_series(1, 120) n;

analyze;
