-- A comment on an object of every kind that can have one.
set client_min_messages = warning;

-- ## on schemas, extensions, languages
comment on schema zoo is 'it''s the zoo';
comment on schema public is 'changed from the standard one';
comment on schema "línea
nueva" is E'lines\nand\r\nlines;\n\\. and -- marks /* */ $$ 🦓';
comment on extension hstore is 'changed from the extension''s own';
comment on language speak is 'plpgsql in disguise';

-- ## on types and what hangs on them
comment on type zoo.mood is 'an enum';
comment on type zoo.address is 'a composite';
comment on column zoo.address."Zip Code" is 'a column of a composite';
comment on type zoo.float_range is 'a range';
comment on type zoo.label is 'a base type';
comment on type zoo.ghost is 'a shell';
comment on domain zoo.legacy is 'a domain';
comment on constraint not_empty on domain zoo.legacy is 'a domain''s constraint';
comment on constraint above_zero on domain zoo.positive is 'another';
comment on collation zoo.german is 'a collation';
comment on cast (zoo.label as text) is 'a cast';
comment on operator zoo.< (zoo.label, zoo.label) is 'an operator';
comment on operator zoo.## (none, zoo.label) is 'a prefix operator';
comment on operator class zoo.label_ops using btree is 'an operator class';
comment on operator family zoo.label_family using btree is 'an operator family';
comment on aggregate zoo.product(float8) is 'an aggregate';
comment on aggregate zoo.middle(float8 order by anyelement) is 'an ordered-set aggregate';
comment on aggregate zoo.how_many(*) is 'an aggregate of everything';
comment on conversion zoo.from_latin is 'a conversion';
comment on transform for integer language sql is 'a transform';
comment on access method zoo_gist is 'an access method';
comment on text search parser zoo.words is 'a parser';
comment on text search template zoo.simple_words is 'a template';
comment on text search dictionary zoo.no_stopwords is 'a dictionary';
comment on text search configuration zoo.search is 'a configuration';

-- ## on tables and what hangs on them
comment on table zoo.many is '';
comment on table zoo.texts is 'a table';
comment on column zoo.texts.t is E'a column\nwith lines';
comment on column "Odd ""Schema"""."Table ""With"" 'Quotes' and spaces"."a
line end" is 'an odd column';
comment on constraint "the ""key""" on zoo.constrained is 'a primary key';
comment on constraint small on zoo.constrained is 'a check';
comment on constraint pair_exists on zoo.children is 'a foreign key that is not valid';
comment on index zoo."Indexed: ""name"" part" is 'an index';
comment on index zoo.events_kind is 'an index over partitions';
comment on sequence zoo.backwards is 'a sequence';
comment on statistics zoo.many_statistics is 'statistics';
comment on rule "log ""all""" on zoo.grouped is 'a rule';
comment on trigger count_up on zoo.triggered is 'a trigger';
comment on trigger on_partitions on zoo.events is 'a trigger on partitions';
comment on policy own_rows on zoo.secrets is 'a policy';
comment on foreign table zoo.remote is 'a foreign table';
comment on column zoo.remote.name is 'its column';
comment on view zoo.plain_view is 'a view';
comment on column zoo.plain_view.quoted is 'its column';
comment on materialized view zoo.sums is 'a materialized view';
comment on column zoo.sums.n is 'its column';

-- ## on code, foreign data, replication
comment on function zoo.add(integer, integer, integer) is 'a function with "quotes" and $$';
comment on procedure zoo.work(integer, text) is 'a procedure';
comment on event trigger on_create is 'an event trigger';
comment on foreign data wrapper zoo_wrapper is 'a wrapper';
comment on server "Remote Server" is 'a server';
comment on publication everything is 'a publication';
comment on subscription "Zoo ""subscription""" is 'a subscription';
