-- The demo's application: a shop with customers, products and orders. Parameters: none.
set search_path = public;
create extension if not exists pg_trgm;
create type order_state as enum ('open', 'paid', 'shipped', 'returned');
create table customers (
  id bigint generated always as identity primary key,
  name text not null,
  email text not null unique,
  address jsonb not null,
  since timestamptz not null
);
create table products (
  id bigint generated always as identity primary key,
  title text not null,
  price numeric(10, 2) not null check (price > 0),
  picture bytea
);
create table orders (
  id bigint generated always as identity primary key,
  customer bigint not null references customers,
  state order_state not null default 'open',
  placed timestamptz not null,
  note text
);
create table order_items (
  "order" bigint not null references orders,
  product bigint not null references products,
  quantity int not null check (quantity > 0),
  price numeric(10, 2) not null,
  primary key ("order", product)
);
create index on orders (customer);
create index on products using gin (title gin_trgm_ops);
create view revenue as
  select date_trunc('month', o.placed) as month, sum(i.price * i.quantity) as total
  from orders o join order_items i on i."order" = o.id group by 1;
create materialized view best_sellers as
  select product, sum(quantity) as sold from order_items group by 1 order by 2 desc limit 100 with no data;

insert into customers (name, email, address, since)
  select 'Customer ' || i, 'customer' || i || '@example.com',
    jsonb_build_object('street', 'Street ' || i % 977, 'city', (array['Hamburg', 'Lisbon', 'Oslo', 'Krakow', 'Nantes'])[1 + i % 5], 'zip', 10000 + i % 89999),
    timestamptz '2020-01-01' + i * interval '37 minutes'
  from generate_series(1, 40000) i;
insert into products (title, price, picture)
  select 'Product ' || i || ' ' || (array['lamp', 'chair', 'table', 'shelf', 'clock'])[1 + i % 5], 1 + i % 499 + 0.99,
    decode(repeat(md5(i::text), 40), 'hex')
  from generate_series(1, 4000) i;
insert into orders (customer, state, placed, note)
  select 1 + (i * 7919) % 40000, (array['open', 'paid', 'shipped', 'returned'])[1 + i % 4]::order_state,
    timestamptz '2023-01-01' + i * interval '6 minutes', case when i % 9 = 0 then 'please ring twice, order ' || md5(i::text) end
  from generate_series(1, 150000) i;
insert into order_items
  select o.id, 1 + (o.id * 31 + k * 1009) % 4000, 1 + (o.id + k) % 5, 1 + (o.id * k) % 300 + 0.49
  from orders o, generate_series(1, 3) k;
refresh materialized view best_sellers;
