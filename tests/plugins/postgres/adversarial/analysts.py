"""What analysts ask, feature by feature: all of it only reads, so all of it has to pass."""

from typing import Any

QUERIES: list[str] = [
    "SELECT account_id, sum(amount) FILTER (WHERE amount > 10) AS big, avg(amount)::numeric(10,2) FROM sale "
    "GROUP BY 1 ORDER BY 2 DESC NULLS LAST",
    "SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY at DESC) rn, ntile(4) OVER (ORDER BY "
    "amount), cume_dist() OVER (ORDER BY amount), percent_rank() OVER (ORDER BY amount), first_value(id) "
    "OVER w, nth_value(id, 2) OVER w, lead(amount, 1, 0) OVER w FROM sale WINDOW w AS (PARTITION BY "
    "account_id ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
    "SELECT sum(amount) OVER (ORDER BY at RANGE BETWEEN interval '7 days' PRECEDING AND CURRENT ROW EXCLUDE "
    "TIES) FROM sale",
    "SELECT sum(amount) OVER (ORDER BY account_id GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT "
    "ROW) FROM sale",
    "SELECT date_trunc('week', at), count(*), count(DISTINCT account_id) FROM sale GROUP BY GROUPING SETS "
    "((1), ()) ORDER BY 1",
    "SELECT grouping(account_id, at::date), account_id, at::date, sum(amount) FROM sale GROUP BY ROLLUP "
    "(account_id, at::date)",
    "SELECT account_id, sum(amount) FROM sale GROUP BY CUBE (account_id) HAVING sum(amount) > 5",
    "SELECT account_id FROM sale GROUP BY DISTINCT ROLLUP (account_id), ROLLUP (account_id)",
    "SELECT percentile_cont(ARRAY[0.25,0.5,0.75]) WITHIN GROUP (ORDER BY amount), percentile_disc(0.9) "
    "WITHIN GROUP (ORDER BY amount), mode() WITHIN GROUP (ORDER BY account_id), rank(10) WITHIN GROUP (ORDER "
    "BY amount) FROM sale",
    "SELECT corr(amount, id), regr_slope(amount, id), regr_intercept(amount,id), regr_r2(amount,id), "
    "covar_pop(amount,id), var_samp(amount), stddev_pop(amount), variance(amount), bit_or(id::int), "
    "bit_and(id::int), every(id>0), bool_or(id>0) FROM sale",
    "SELECT bit_xor(id) FROM sale",
    "SELECT json_object_agg(id, amount), jsonb_object_agg(id, amount), json_agg(s), array_agg(id ORDER BY id "
    "DESC), string_agg(DISTINCT body, '; ' ORDER BY body), xmlagg(NULL::xml) FROM sale s",
    "SELECT a.id, s.* FROM account a LEFT JOIN LATERAL (SELECT * FROM sale WHERE account_id = a.id ORDER BY "
    "at DESC LIMIT 2) s ON true",
    "SELECT a.id, t.tag, t.n FROM sale a, unnest(a.tags) WITH ORDINALITY AS t(tag, n)",
    "SELECT * FROM unnest(ARRAY[1,2], ARRAY['a','b']) AS u(x, y)",
    "SELECT * FROM ROWS FROM (generate_series(1,3), unnest(ARRAY['a','b'])) WITH ORDINALITY AS r(a,b,o)",
    "SELECT meta->'n', meta->>'k', meta#>'{n}', meta#>>'{k}', meta @> '{\"k\":\"v\"}', meta ? 'k', meta ?| "
    "ARRAY['k'], meta ?& ARRAY['k'], meta - 'k', meta || '{}', jsonb_pretty(meta), jsonb_typeof(meta), "
    "jsonb_array_length('[]'), jsonb_set(meta,'{n}','1'), jsonb_insert(meta,'{z}','1'), "
    "jsonb_strip_nulls(meta) FROM sale LIMIT 2",
    "SELECT meta['n'], meta['k'] FROM sale LIMIT 1",
    "SELECT meta @? '$.n ? (@ > 3)', meta @@ '$.n > 3', jsonb_path_exists(meta,'$.n'), "
    "jsonb_path_query_array(meta,'$.*'), jsonb_path_query_first(meta,'$.n'), jsonb_path_match(meta,'$.n > "
    "1'), jsonb_path_query_tz(meta, '$.n') FROM sale LIMIT 2",
    "SELECT k, v FROM sale, jsonb_each(meta) AS e(k,v) LIMIT 3",
    "SELECT * FROM jsonb_object_keys('{\"a\":1}')",
    'SELECT * FROM json_to_recordset(\'[{"a":1,"b":"x"}]\') AS x(a int, b text)',
    'SELECT * FROM json_populate_record(NULL::address, \'{"street":"s"}\')',
    "SELECT (a).street, (person.a).zip FROM person",
    "SELECT p.* FROM person p",
    "SELECT (p.a).* FROM person p",
    "SELECT jsonb_populate_record(NULL::sale, '{\"id\":1}')",
    "SELECT to_jsonb(s) - 'body' FROM sale s LIMIT 1",
    "SELECT row_to_json(s, true) FROM sale s LIMIT 1",
    "SELECT json_build_object('a',1,'b',json_build_array(1,2)), jsonb_build_array(), array_to_json(ARRAY[1,2])",
    "SELECT period @> current_date, upper(period), isempty(period), period && daterange(current_date, NULL), "
    "lower_inc(period), period -|- period, range_merge(period, period) FROM sale LIMIT 1",
    "SELECT range_agg(period), range_intersect_agg(period) FROM sale",
    "SELECT '{[1,2),[5,6)}'::int4multirange, unnest('{[1,2),[5,6)}'::int4multirange)",
    "SELECT tstzrange(now(), now() + '1h', '[]'), numrange(1,2) + numrange(2,3), int8range(1,10) - int8range(5,20)",
    "SELECT array_dims(ARRAY[[1,2],[3,4]]), ARRAY(SELECT id FROM account), array_positions(ARRAY[1,2,1],1), "
    "generate_subscripts(ARRAY[1,2],1)",
    "SELECT 3 = ANY(SELECT id FROM account), 3 > ALL (ARRAY[1,2]), (1,2) IN (SELECT id, balance FROM account)",
    "SELECT to_tsvector('english', body) @@ plainto_tsquery('fox'), ts_rank(to_tsvector(body), "
    "to_tsquery('fox')), ts_rank_cd(to_tsvector(body), 'fox'), ts_headline('english', body, "
    "to_tsquery('fox')), websearch_to_tsquery('\"quick fox\" -dog'), phraseto_tsquery('quick fox'), "
    "setweight(to_tsvector(body),'A'), strip(to_tsvector(body)), numnode('a & b'::tsquery), querytree('a'), "
    "tsvector_to_array(to_tsvector(body)), get_current_ts_config() FROM sale LIMIT 1",
    "SELECT * FROM ts_debug('simple', 'hello world')",
    "SELECT body ILIKE '%fox%', body ~ '^the', body !~* 'x', body NOT LIKE 'a%', body ^@ 'the', "
    "starts_with(body,'the'), body SIMILAR TO '%(fox|dog)%', body LIKE 'a!%' ESCAPE '!' FROM sale LIMIT 1",
    "SELECT body LIKE ANY (ARRAY['a%','t%']) FROM sale LIMIT 1",
    "SELECT regexp_matches(body,'(\\w+)','g') FROM sale LIMIT 2",
    "SELECT regexp_split_to_table('a,b',','), regexp_split_to_array('a b','\\s'), "
    "regexp_replace('a1','\\d','','g'), substring('foobar' from 'o(.)b'), substring('foobar' similar "
    "'%#\"o_b#\"%' escape '#')",
    "SELECT regexp_count('aaa','a'), regexp_instr('abc','b'), regexp_substr('abc','b'), regexp_like('abc','B','i')",
    "SELECT upper('a'), initcap('a b'), concat('a',1,NULL), concat_ws('-','a','b'), format('%s %I %L "
    "%1$s','a','b','c'), lpad('1',5,'0'), rpad('1',3), reverse('ab'), translate('abc','ab','xy'), "
    "replace('a','a','b'), btrim('xx'), ltrim('x'), rtrim('x'), trim(leading 'x' from 'xa'), overlay('abc' "
    "placing 'x' from 2 for 1), position('b' in 'abc'), strpos('abc','b'), char_length('a'), "
    "octet_length('a'), bit_length('a'), ascii('a'), chr(65), to_hex(255), quote_ident('a'), "
    "quote_literal('a'), quote_nullable(NULL), right('abc',1), unistr('\\0041'), normalize('a', NFC), 'a' IS "
    "NFC NORMALIZED, parse_ident('a.b'), string_to_table('a b',' ')",
    "SELECT encode(sha256('a'),'hex'), decode('ff','hex'), hashtext('x'), hashtextextended('x',0)",
    "SELECT now(), current_timestamp(0), localtime, current_time, statement_timestamp(), "
    "transaction_timestamp(), clock_timestamp(), make_date(2024,1,1), make_timestamp(2024,1,1,0,0,0), "
    "make_timestamptz(2024,1,1,0,0,0,'UTC'), make_interval(days => 3), make_time(1,2,3), justify_days('40 "
    "days'), justify_interval('1 mon -1 h'), age(timestamp '2024-01-01'), date_part('dow', now()), "
    "extract(epoch from now()), extract(isodow from current_date), to_timestamp(0), to_date('2024','YYYY'), "
    "to_char(now(),'YYYY-MM-DD HH24:MI:SS TZ'), isfinite(now()), date_bin('15 min', now(), timestamptz "
    "'2001-01-01')",
    "SELECT now() AT TIME ZONE 'Europe/Rome', timestamp '2024-01-01' AT TIME ZONE 'UTC', interval '1 year 2 "
    "mons', interval '1' day, date '2024-02-29' + 1, now() - interval '1 month', date '2024-03-01' - date "
    "'2024-02-01', time '10:00' + interval '1 h', 'today'::date, 'infinity'::timestamp, "
    "'epoch'::timestamptz, overlaps(now(), now(), now(), now())",
    "SELECT generate_series(date '2024-01-01', date '2024-01-05', '1 day')::date",
    "SELECT d::date, coalesce(sum(amount),0) FROM generate_series(now()-interval '5 days', now(), interval "
    "'1 day') d LEFT JOIN sale ON sale.at::date = d::date GROUP BY 1 ORDER BY 1",
    "SELECT generate_series(1,10,3), generate_series(10,1,-3), generate_series(1.0,2.0,0.5)",
    "SELECT round(1.555,2), trunc(1.5), ceil(1.2), floor(1.2), abs(-1), mod(5,3), power(2,3), sqrt(4), "
    "cbrt(8), exp(1), ln(2), log(10), log(2,8), sign(-1), div(7,2), gcd(4,6), lcm(4,6), "
    "width_bucket(5,0,10,5), pi(), degrees(1), radians(1), sin(1), atan2(1,1), random(), scale(1.10), "
    "min_scale(1.10), trim_scale(1.10), factorial(5), |/ 4.0, @ -1, 5 % 2, 2 ^ 3, ~1, 1 << 2, 5 & 3, 5 | 3, "
    "5 # 3, !!('a'::tsquery)",
    "SELECT greatest(1,2), least(1,2), coalesce(NULL,1), nullif(1,1), num_nulls(1,NULL), "
    "num_nonnulls(1,NULL), 1 IS NULL, 1 ISNULL, true IS UNKNOWN, true IS NOT TRUE, 1 BETWEEN SYMMETRIC 2 AND "
    "0, 1 IS NOT DISTINCT FROM NULL",
    "SELECT CAST('1' AS integer), '1'::int8, '{1,2}'::int[], '1.5'::float8::numeric, 'abc'::varchar(2), "
    "true::int, 65::\"char\", 'f'::boolean, '12:00'::time, '1 day'::interval, '(1,2)'::point, "
    "'<(1,2),3>'::circle, '((0,0),(1,1))'::box, '[(0,0),(1,1)]'::path, '{1,2,3}'::line, '10.0.0.1'::inet, "
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '08:00:2b:01:02:03'::macaddr, '1.00'::money, "
    "'16/B374D848'::pg_lsn, 'a=>1'::text, 'sad'::mood, '(a,b)'::address, '$.a'::jsonpath, "
    "'account'::regclass, 'lower(text)'::regprocedure",
    "SELECT place <-> point(0,0), place <@ box '((0,0),(10,10))', area(box '((0,0),(1,1))'), center(circle "
    "'((0,0),2)'), circle(point(1,1),2), lseg(point(0,0),point(1,1)) ?# lseg(point(0,1),point(1,0)) FROM "
    "sale ORDER BY place <-> point(3,3) LIMIT 2",
    "SELECT host('10.0.0.1/8'), masklen('10.0.0.1/8'), network('10.0.0.1/8'), broadcast('10.0.0.1/8'), "
    "inet_merge('10.0.0.1','10.0.0.9'), family('::1'), inet '10.0.0.1' + 5, set_masklen('10.0.0.1',16), "
    "text(inet '1.2.3.4'), abbrev(cidr '10.1.0.0/16')",
    "SELECT * FROM account TABLESAMPLE SYSTEM (10)",
    "SELECT * FROM sale TABLESAMPLE BERNOULLI (10.5) REPEATABLE (42) WHERE id > 3",
    "SELECT DISTINCT ON (account_id) account_id, at FROM sale ORDER BY account_id, at DESC",
    "SELECT * FROM ONLY account",
    "SELECT * FROM account*",
    "SELECT ALL id FROM account",
    "SELECT DISTINCT balance FROM account",
    "SELECT count(*), 'é', U&'d\\0061t\\+000061', E'a\\tb', $$x$$, $tag$y$tag$ FROM account",
    'SELECT id "My Id", balance AS "select" FROM account ORDER BY "My Id" DESC NULLS FIRST LIMIT ALL OFFSET 1 ROWS',
    "SELECT * FROM account FETCH NEXT ROW ONLY",
    "SELECT * FROM account ORDER BY balance FETCH FIRST 2 ROWS WITH TIES",
    "TABLE account LIMIT 2",
    "TABLE ONLY account",
    "(TABLE account) UNION ALL (VALUES (1,2)) ORDER BY 1 LIMIT 3",
    "VALUES (1,'a'),(2,NULL) ORDER BY 1 DESC LIMIT 1",
    "SELECT * FROM (VALUES (1,'a'),(2,'b')) AS v(n,s) WHERE n>1",
    "SELECT 1 EXCEPT ALL SELECT 2 INTERSECT ALL SELECT 3",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION SELECT n+1 FROM t WHERE n < 5) SELECT * FROM t",
    "WITH RECURSIVE g(id, path) AS (SELECT id, ARRAY[id] FROM account WHERE id=1 UNION ALL SELECT a.id, "
    "g.path||a.id FROM account a JOIN g ON a.id=g.id+1) CYCLE id SET is_cycle USING p SELECT * FROM g",
    "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n+1 FROM t) SELECT n FROM t LIMIT 10",
    "WITH RECURSIVE s(id) AS (SELECT 1 UNION ALL SELECT id+1 FROM s WHERE id<3) SEARCH BREADTH FIRST BY id "
    "SET o SELECT * FROM s ORDER BY o",
    "WITH w AS NOT MATERIALIZED (SELECT * FROM account) SELECT * FROM w a JOIN w b USING (id)",
    "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema NOT IN "
    "('pg_catalog','information_schema') ORDER BY 1,2",
    "SELECT * FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage kcu "
    "USING (constraint_name) JOIN information_schema.constraint_column_usage ccu USING (constraint_name) "
    "WHERE constraint_type='FOREIGN KEY'",
    "SELECT * FROM information_schema.routines LIMIT 1",
    "SELECT * FROM information_schema.role_table_grants LIMIT 3",
    "SELECT * FROM information_schema.views",
    "SELECT * FROM information_schema.triggers",
    "SELECT * FROM information_schema.sequences",
    "SELECT * FROM information_schema.schemata",
    "SELECT * FROM information_schema.columns c LIMIT 3",
    "SELECT * FROM information_schema.check_constraints LIMIT 3",
    "SELECT * FROM information_schema.parameters LIMIT 1",
    "SELECT * FROM information_schema.referential_constraints",
    "SELECT * FROM information_schema.user_mappings",
    "SELECT * FROM pg_tables LIMIT 2",
    "SELECT * FROM pg_views LIMIT 2",
    "SELECT * FROM pg_indexes WHERE schemaname='public'",
    "SELECT * FROM pg_matviews",
    "SELECT * FROM pg_roles",
    "SELECT * FROM pg_user",
    "SELECT * FROM pg_group",
    "SELECT * FROM pg_database",
    "SELECT * FROM pg_namespace",
    "SELECT * FROM pg_extension",
    "SELECT * FROM pg_available_extensions LIMIT 2",
    "SELECT * FROM pg_enum",
    "SELECT * FROM pg_proc LIMIT 1",
    "SELECT * FROM pg_type LIMIT 1",
    "SELECT * FROM pg_constraint LIMIT 1",
    "SELECT * FROM pg_trigger LIMIT 1",
    "SELECT * FROM pg_policies",
    "SELECT * FROM pg_rules LIMIT 1",
    "SELECT * FROM pg_stat_all_tables LIMIT 1",
    "SELECT * FROM pg_stat_user_tables",
    "SELECT * FROM pg_statio_user_tables",
    "SELECT * FROM pg_stat_user_functions",
    "SELECT * FROM pg_stat_xact_user_tables LIMIT 1",
    "SELECT * FROM pg_stat_xact_user_functions",
    "SELECT * FROM pg_stat_database",
    "SELECT * FROM pg_stat_bgwriter",
    "SELECT * FROM pg_stat_archiver",
    "SELECT * FROM pg_stat_replication",
    "SELECT * FROM pg_stat_wal",
    "SELECT * FROM pg_stat_slru",
    "SELECT * FROM pg_stat_progress_vacuum",
    "SELECT * FROM pg_stat_progress_create_index",
    "SELECT * FROM pg_replication_slots",
    "SELECT * FROM pg_publication_tables",
    "SELECT * FROM pg_subscription",
    "SELECT * FROM pg_stat_subscription",
    "SELECT * FROM pg_timezone_names LIMIT 1",
    "SELECT * FROM pg_timezone_abbrevs LIMIT 1",
    "SELECT * FROM pg_shdescription LIMIT 1",
    "SELECT * FROM pg_description LIMIT 1",
    "SELECT * FROM pg_depend LIMIT 1",
    "SELECT * FROM pg_attribute LIMIT 1",
    "SELECT * FROM pg_attrdef LIMIT 1",
    "SELECT * FROM pg_index LIMIT 1",
    "SELECT * FROM pg_inherits",
    "SELECT * FROM pg_partitioned_table",
    "SELECT * FROM pg_foreign_table",
    "SELECT * FROM pg_foreign_server",
    "SELECT * FROM pg_event_trigger",
    "SELECT * FROM pg_language",
    "SELECT * FROM pg_collation LIMIT 1",
    "SELECT * FROM pg_am",
    "SELECT * FROM pg_opclass LIMIT 1",
    "SELECT * FROM pg_operator LIMIT 1",
    "SELECT * FROM pg_cast LIMIT 1",
    "SELECT * FROM pg_aggregate LIMIT 1",
    "SELECT * FROM pg_tablespace",
    "SELECT * FROM pg_auth_members",
    "SELECT * FROM pg_db_role_setting",
    "SELECT * FROM pg_stats LIMIT 1",
    "SELECT * FROM pg_stats_ext",
    "SELECT * FROM pg_statistic LIMIT 1",
    "SELECT * FROM pg_shmem_allocations LIMIT 1",
    "SELECT * FROM pg_backend_memory_contexts LIMIT 1",
    "SELECT * FROM pg_largeobject_metadata",
    "SELECT * FROM pg_seclabels",
    "SELECT * FROM pg_config LIMIT 1",
    "SELECT * FROM pg_cursors",
    "SELECT * FROM pg_locks",
    "SELECT * FROM pg_sequences",
    "SELECT * FROM pg_sequence",
    "SELECT * FROM pg_ts_config LIMIT 1",
    "SELECT c.relname, pg_size_pretty(pg_total_relation_size(c.oid)), "
    "pg_size_pretty(pg_relation_size(c.oid,'main')), c.reltuples::bigint FROM pg_class c JOIN pg_namespace n "
    "ON n.oid=c.relnamespace WHERE n.nspname='public' AND c.relkind='r' ORDER BY "
    "pg_total_relation_size(c.oid) DESC",
    "SELECT pg_size_pretty(pg_database_size(datname)) FROM pg_database WHERE has_database_privilege(datname,'CONNECT')",
    "SELECT pg_table_size('sale'), pg_indexes_size('sale'), pg_relation_size('sale_pkey'), "
    "pg_total_relation_size('public.sale'), pg_tablespace_size('pg_default'), pg_column_size(meta) FROM sale "
    "LIMIT 1",
    "SELECT pid, usename, datname, state, wait_event_type, wait_event, left(query,50), now()-query_start, "
    "pg_blocking_pids(pid), age(backend_xmin) FROM pg_stat_activity WHERE datname = current_database()",
    "SELECT blocked.pid, blocking.pid FROM pg_stat_activity blocked JOIN pg_stat_activity blocking ON "
    "blocking.pid = ANY(pg_blocking_pids(blocked.pid))",
    "SELECT relname, n_live_tup, n_dead_tup, last_autovacuum FROM pg_stat_user_tables",
    "SELECT sum(heap_blks_hit)/nullif(sum(heap_blks_hit)+sum(heap_blks_read),0) FROM pg_statio_user_tables",
    "SELECT datname, age(datfrozenxid), mxid_age(datminmxid) FROM pg_database",
    "SELECT current_setting('server_version_num')::int, current_setting('nope', true), version(), "
    "current_database(), current_catalog, current_schema, current_role, current_user, user, session_user, "
    "pg_backend_pid(), inet_client_addr(), pg_postmaster_start_time(), pg_conf_load_time(), "
    "pg_is_in_recovery()",
    "SELECT pg_typeof(1), collation for ('a'::text), has_schema_privilege('public','USAGE'), "
    "has_column_privilege('account','id','SELECT'), pg_has_role('postgres','MEMBER'), "
    "row_security_active('account'), acldefault('r',10), makeaclitem(10,10,'SELECT',false)",
    "SELECT relname, (aclexplode(relacl)).* FROM pg_class WHERE relacl IS NOT NULL LIMIT 2",
    "SELECT pg_get_indexdef(indexrelid), pg_get_expr(indpred, indrelid) FROM pg_index LIMIT 1",
    "SELECT conname, pg_get_constraintdef(oid, true), contype FROM pg_constraint LIMIT 2",
    "SELECT pg_get_triggerdef(oid) FROM pg_trigger LIMIT 1",
    "SELECT pg_get_ruledef(oid) FROM pg_rewrite LIMIT 1",
    "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname='tidy'",
    "SELECT pg_get_userbyid(relowner), pg_describe_object('pg_class'::regclass,oid,0) FROM pg_class LIMIT 1",
    "SELECT pg_get_serial_sequence('sale','id'), pg_sequence_last_value('sale_id_seq'), last_value FROM sale_id_seq",
    "SELECT attname, format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid), "
    "col_description(attrelid, attnum) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid=attrelid AND "
    "adnum=attnum WHERE attrelid='sale'::regclass AND attnum>0",
    "SELECT obj_description(oid,'pg_class'), shobj_description(1,'pg_database'), to_regclass('nope') FROM "
    "pg_class LIMIT 1",
    "SELECT inhrelid::regclass, pg_get_expr(relpartbound, oid) FROM pg_inherits JOIN pg_class ON oid=inhrelid",
    "SELECT * FROM pg_partition_tree('part')",
    "SELECT * FROM pg_partition_ancestors('part_2024')",
    "SELECT pg_relation_is_updatable('account'::regclass, false), "
    "pg_column_is_updatable('account'::regclass,1::smallint,false), pg_table_is_visible('account'::regclass)",
    "SELECT * FROM pg_options_to_table(ARRAY['a=b'])",
    "SELECT tableoid::regclass, ctid, xmin, xmax, cmin, * FROM account LIMIT 1",
    "SELECT * FROM account WHERE ctid = '(0,1)'",
    "SELECT pg_current_snapshot(), txid_current_snapshot(), txid_snapshot_xmax(txid_current_snapshot()), "
    "pg_visible_in_snapshot('1'::xid8, pg_current_snapshot()), txid_current(), age(xmin) FROM account LIMIT "
    "1",
    "SELECT pg_current_wal_lsn(), pg_wal_lsn_diff(pg_current_wal_lsn(),'0/0')",
    "SELECT pg_stat_get_live_tuples('account'::regclass), pg_stat_get_backend_idset(), "
    "pg_stat_get_numscans('account'::regclass)",
    "SELECT setting, unit FROM pg_settings WHERE name='work_mem'",
    "SELECT pg_jit_available(), pg_trigger_depth(), pg_client_encoding(), pg_encoding_to_char(encoding) FROM "
    "pg_database LIMIT 1",
    "SHOW server_version",
    "SHOW search_path",
    "SHOW TIME ZONE",
    "SHOW all",
    "SHOW SESSION AUTHORIZATION",
    "SHOW TRANSACTION ISOLATION LEVEL",
    'SHOW "work_mem"',
    "SHOW is_superuser",
    "EXPLAIN (FORMAT JSON) SELECT 1",
    "EXPLAIN (FORMAT YAML, VERBOSE) SELECT 1",
    "EXPLAIN (FORMAT XML) SELECT 1",
    "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY ON) SELECT * FROM sale",
    "EXPLAIN (ANALYZE TRUE, COSTS FALSE) SELECT * FROM sale",
    "EXPLAIN (SETTINGS, WAL, ANALYZE) SELECT 1",
    "EXPLAIN (ANALYZE 1) SELECT 1",
    "EXPLAIN ANALYZE VERBOSE SELECT * FROM sale s JOIN account a ON a.id=s.account_id",
    "EXPLAIN VALUES (1)",
    "EXPLAIN TABLE account",
    "EXPLAIN (BUFFERS) WITH a AS (SELECT 1) TABLE a",
    "EXPLAIN DELETE FROM sale WHERE id=1",
    "EXPLAIN (VERBOSE) INSERT INTO sale (amount) SELECT 1",
    "EXPLAIN ((SELECT 1))",
    "explain analyze (select 1)",
    "EXPLAIN (ANALYZE OFF) SELECT 1",
    "EXPLAIN (ANALYZE FALSE) UPDATE sale SET amount=1",
    "EXPLAIN /*c*/ (COSTS /*)*/ off) /*x*/ SELECT 1",
    'SELECT "Order; --".id FROM "Evil Schema"."Order; --"',
    "SELECT 'it''s; -- ok' /* ; DROP TABLE x; */ AS \"a;b\"",
    "SELECT 1 AS \"INTO\", 'FOR UPDATE' AS x",
    "SELECT '{\"a\":1}'::jsonb ->> 'a' AS \"->>\"",
    "SELECT id FROM account WHERE EXISTS (SELECT 1 FROM sale WHERE account_id = account.id) AND id NOT IN (SELECT 99)",
    "SELECT s FROM sale s LIMIT 1",
    "SELECT sale FROM sale LIMIT 1",
    "SELECT count(s) , count(s.*) FROM sale s",
    "SELECT (s).amount FROM sale s LIMIT 1",
    "SELECT t.name FROM (SELECT 'x' AS name) t",
    "SELECT a.id FROM account a WHERE a IS NOT NULL",
    'SELECT length(body), body COLLATE "C" FROM sale ORDER BY body COLLATE "C" LIMIT 1',
    "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class",
    "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a LIMIT 1",
    "SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) "
    "'^(account)$' COLLATE pg_catalog.default",
    "SELECT crosstab.* FROM (SELECT 1) crosstab",
    "SELECT account.nextval FROM (SELECT 1 AS nextval) account",
    "SELECT 1 nextval",
    "SELECT id AS setval FROM account ORDER BY setval",
    "SELECT currval FROM (SELECT 1) t(currval)",
    "SELECT * FROM account AS delete",
    "SELECT extract(julian from now()), extract(timezone from now()), extract(week from now()), "
    "extract(quarter from now()), extract(century from now()), extract(microseconds from now())",
    "SELECT at::date AS day, sum(amount) AS s, lag(sum(amount)) OVER (ORDER BY at::date), sum(sum(amount)) "
    "OVER (ORDER BY at::date) FROM sale GROUP BY at::date ORDER BY 1",
    "SELECT account_id, 100.0 * count(*) / sum(count(*)) OVER () FROM sale GROUP BY 1",
    "SELECT width_bucket(amount, 0, 100, 5), count(*), min(amount), max(amount) FROM sale GROUP BY 1",
    "SELECT max(at) - min(at), avg(now() - at), justify_hours(sum(interval '1h')) FROM sale",
    "SELECT to_char(1234.5,'FM999,999.00'), to_char(interval '1h','HH24:MI'), to_number('1,234','9,999'), "
    "to_char(-5,'S9'), to_char(now(),'Day, DD Month')",
    "SELECT array_agg(DISTINCT tag ORDER BY tag) FROM sale, unnest(tags) tag",
    "SELECT min(tags) FROM sale",
    "SELECT string_agg(body, E'\\n' ORDER BY id) FILTER (WHERE id < 3) FROM sale",
    "SELECT CASE WHEN amount > 50 THEN 'big' WHEN amount > 20 THEN 'mid' ELSE 'small' END AS size, count(*) "
    "FROM sale GROUP BY CASE WHEN amount > 50 THEN 'big' WHEN amount > 20 THEN 'mid' ELSE 'small' END",
    "SELECT * FROM sale NATURAL JOIN (SELECT 1::bigint AS id) x",
    "SELECT * FROM sale s FULL OUTER JOIN account a ON s.account_id = a.id AND s.amount > 10 CROSS JOIN "
    "(VALUES (1)) v LIMIT 1",
    "SELECT * FROM account a RIGHT JOIN sale s ON a.id=s.account_id WHERE a.id IS NOT NULL LIMIT 1",
    "SELECT * FROM (account a JOIN sale s ON a.id = s.account_id) AS j LIMIT 1",
    "SELECT * FROM account JOIN account b USING (id) AS u LIMIT 1",
]

NEWER_QUERIES: list[tuple[int, str]] = [
    (
        16,
        "SELECT any_value(id) FROM sale",
    ),
    (
        18,
        "SELECT array_reverse(ARRAY[1,2]), array_sort(ARRAY[2,1])",
    ),
    (
        18,
        "SELECT encode(sha256('a'),'hex'), decode('ff','hex'), md5('a'), get_byte('\\x01',0), "
        "set_byte('\\x01',0,2), sha512('a'), convert_from('\\x61','UTF8'), crc32('a')",
    ),
    (
        17,
        "SELECT date_add(now(), '1 day'), date_subtract(now(),'1 day','Europe/Berlin'), timezone('UTC', "
        "now()), now() AT LOCAL",
    ),
    (
        18,
        "SELECT random(1,10), random(1.0, 2.0), random_normal(), erf(1.0), gamma(5), lgamma(5)",
    ),
    (
        16,
        "SELECT CAST('1' AS int), '1'::int, int '1', int4('1'), numeric(5,2) '1.234', 'a'::char(3), "
        "B'101'::int, X'1F', 0xFF, 1_000, 0b11, 0o17",
    ),
    (
        16,
        "SELECT * FROM (SELECT 1) ",
    ),
    (
        16,
        "SELECT pg_input_is_valid('1','int')",
    ),
    (
        16,
        "SELECT * FROM pg_input_error_info('x','numeric(5,2)')",
    ),
]
"""What PostgreSQL knows only from a major version on."""

PARAMETERIZED: list[tuple[str, list[Any]]] = [
    ("SELECT * FROM sale WHERE id = $1 AND body = $2", [1, "x"]),
    ("SELECT * FROM sale WHERE id = ANY($1)", [[1, 2]]),
    ("SELECT * FROM sale WHERE at > $1 AND amount < $2::numeric", ["2024-01-01", 5.5]),
    (
        "SELECT $1::jsonb -> 'a', $2::text[], $3::date, $4::uuid, $5::bool",
        [{"a": 1}, ["x", "y"], "2024-01-01", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", True],
    ),
    ("SELECT * FROM account LIMIT $1 OFFSET $2", [2, 1]),
    ("SELECT * FROM account WHERE id BETWEEN $1 AND $2", [1, 3]),
    ("SELECT $1", ["x"]),
    ("SELECT coalesce($1, 'x')", [None]),
    ("SELECT * FROM sale WHERE meta @> $1", [{"k": "v"}]),
    ("SELECT interval '1 day' * $1", [3]),
    ("EXPLAIN SELECT * FROM sale WHERE id=$1", [1]),
    ("SELECT * FROM sale WHERE ($1::int IS NULL OR id=$1)", [None]),
    ("SELECT * FROM sale WHERE body LIKE '%' || $1 || '%'", ["fox"]),
    ("SELECT jsonb_path_query(meta, '$.n ? (@ > $x)', $1) FROM sale LIMIT 1", [{"x": 1}]),
]
