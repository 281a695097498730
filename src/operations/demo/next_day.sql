-- What happens in the shop until the next backup. Parameters: none.
set search_path = public;
insert into orders (customer, placed, note)
  select 1 + i % 40000, now() - i * interval '1 minute', 'new today' from generate_series(1, 400) i;
insert into order_items select id, 1 + id % 4000, 2, 19.99 from orders where note = 'new today';
update customers set address = address || '{"moved": true}' where id % 1000 = 0;
