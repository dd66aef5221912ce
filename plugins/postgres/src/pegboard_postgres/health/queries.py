"""The SQL of the checks. Works from PostgreSQL 12 on, waits for no lock, and ends after a few rows."""

ACTIVITY = """SELECT pid, usename AS role, application_name AS application, datname AS database, state, query,
  extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds,
  extract(epoch FROM clock_timestamp() - state_change)::float8 AS idle
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
ORDER BY xact_start LIMIT 10"""

PREPARED = """SELECT gid, database, extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds
FROM pg_prepared_xacts ORDER BY prepared LIMIT 10"""

# Which kind a session is may be hidden, but not its database and its role, which only clients have both.
SESSIONS = """SELECT count(*) FILTER (WHERE state = 'active') AS active,
  count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
  count(*) FILTER (WHERE query = $1) AS hidden, count(*) AS all
FROM pg_stat_activity
WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND backend_type IS DISTINCT FROM 'parallel worker'
  AND pid <> pg_backend_pid()"""

LOCKS = """SELECT a.pid, a.usename AS role, a.state, a.query, pg_blocking_pids(a.pid) AS blockers, l.mode,
  l.relation::regclass::text AS relation,
  extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS seconds,
  extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS since
FROM pg_stat_activity AS a LEFT JOIN LATERAL (SELECT mode, relation FROM pg_locks
  WHERE pid = a.pid AND NOT granted LIMIT 1) AS l ON true
WHERE a.pid IN (SELECT pid FROM pg_locks WHERE NOT granted
  UNION SELECT unnest(pg_blocking_pids(pid)) FROM pg_locks WHERE NOT granted) LIMIT 500"""

CONNECTIONS = """SELECT (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL
    AND backend_type IS DISTINCT FROM 'parallel worker') AS used,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most"""

REPLICAS = """SELECT coalesce(nullif(application_name, ''), client_addr::text, pid::text) AS name, state, sync_state,
  pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
    replay_lsn)::float8 AS bytes, extract(epoch FROM replay_lag)::float8 AS seconds
FROM pg_stat_replication ORDER BY 4 DESC NULLS LAST LIMIT 10"""

SLOTS = """SELECT slot_name AS name, active, pg_wal_lsn_diff(
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
    restart_lsn)::float8 AS bytes
FROM pg_replication_slots ORDER BY 3 DESC NULLS LAST LIMIT 10"""

STANDBY = """SELECT CASE WHEN pg_last_wal_receive_lsn() <> pg_last_wal_replay_lsn()
  THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END AS seconds"""

VACUUM = """SELECT format('%I.%I', schemaname, relname) AS label, n_dead_tup AS dead, n_live_tup AS live,
  extract(epoch FROM now() - greatest(last_vacuum, last_autovacuum))::float8 AS seconds,
  (SELECT 'autovacuum_enabled=false' = ANY(reloptions) FROM pg_class WHERE oid = relid) AS is_off
FROM pg_stat_user_tables
WHERE n_dead_tup >= $1 AND n_dead_tup > $2::float8 * (n_live_tup + n_dead_tup)
ORDER BY n_dead_tup DESC LIMIT 10"""

# The rows the table had when it was analyzed, as wide as they were, and 32 bytes each around them.
BLOATED = """SELECT label, pages, 1 - needed / pages AS share, (pages - needed) * 8192 AS bytes FROM (
  SELECT format('%I.%I', n.nspname, c.relname) AS label, c.relpages::float8 AS pages,
    ceil(c.reltuples * (32 + sum(s.avg_width * (1 - s.null_frac))) / 8168 * 100 / coalesce(
      (SELECT option_value::float8 FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'),
      100)) AS needed
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname AND NOT s.inherited
  WHERE c.relkind IN ('r', 'm') AND c.reltuples >= 0 AND c.relpages >= $1
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') GROUP BY c.oid, n.nspname
  HAVING count(*) = (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
) AS t WHERE pages - needed > $2::float8 * pages ORDER BY bytes DESC LIMIT 10"""

AGES = """SELECT datname AS name, greatest(age(datfrozenxid), mxid_age(datminmxid))::int AS age
FROM pg_database WHERE datallowconn ORDER BY age DESC LIMIT 10"""

# Sizes come from the catalog, since asking for the file waits for locks.
INVALID = """SELECT format('%I.%I', n.nspname, x.relname) AS label, format('%I.%I', tn.nspname, t.relname) AS table,
  i.indisvalid AS valid, x.relpages * 8192::bigint AS bytes, s.idx_scan AS scans, i.indisunique AS is_unique,
  EXISTS (SELECT FROM pg_constraint WHERE conindid = x.oid) AS has_constraint
FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = x.relnamespace
JOIN pg_class AS t ON t.oid = i.indrelid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_stat_user_indexes AS s ON s.indexrelid = i.indexrelid
WHERE n.nspname NOT LIKE 'pg\\_%' AND x.relkind = 'i' AND NOT i.indisvalid AND i.indexrelid NOT IN (
  SELECT index_relid FROM pg_stat_progress_create_index) ORDER BY bytes DESC LIMIT 10"""

UNUSED = """SELECT format('%I.%I', n.nspname, x.relname) AS label, format('%I.%I', tn.nspname, t.relname) AS table,
  i.indisvalid AS valid, x.relpages * 8192::bigint AS bytes, s.idx_scan AS scans, i.indisunique AS is_unique,
  EXISTS (SELECT FROM pg_constraint WHERE conindid = x.oid) AS has_constraint
FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = x.relnamespace
JOIN pg_class AS t ON t.oid = i.indrelid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_stat_user_indexes AS s ON s.indexrelid = i.indexrelid
WHERE n.nspname NOT LIKE 'pg\\_%' AND x.relkind = 'i'
  AND s.idx_scan = 0 AND i.indisvalid AND NOT i.indisunique AND x.relpages >= $1
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = x.oid) ORDER BY bytes DESC LIMIT 10"""

# Whether it is the same index, or only the beginning of another one.
DUPLICATES = """SELECT format('%I.%I', n.nspname, x.relname) AS label, y.oid::regclass::text AS other,
  i.indnkeyatts = j.indnkeyatts AS is_same, x.relpages * 8192::bigint AS bytes
FROM pg_index AS i JOIN pg_index AS j ON j.indrelid = i.indrelid AND j.indexrelid <> i.indexrelid
JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = x.relnamespace
JOIN pg_class AS y ON y.oid = j.indexrelid AND y.relam = x.relam
CROSS JOIN LATERAL (SELECT i.indnkeyatts - 1 AS last) AS l
WHERE n.nspname NOT LIKE 'pg\\_%' AND i.indisvalid AND j.indisvalid AND i.indpred IS NULL AND j.indpred IS NULL
  AND i.indexprs IS NULL AND j.indexprs IS NULL AND i.indnatts = i.indnkeyatts AND i.indnkeyatts <= j.indnkeyatts
  AND (i.indnkeyatts = j.indnkeyatts OR (SELECT amname = 'btree' FROM pg_am WHERE oid = x.relam))
  AND (i.indkey::int2[])[0:last] = (j.indkey::int2[])[0:last]
  AND (i.indclass::oid[])[0:last] = (j.indclass::oid[])[0:last]
  AND (i.indcollation::oid[])[0:last] = (j.indcollation::oid[])[0:last]
  AND (i.indoption::int2[])[0:last] = (j.indoption::int2[])[0:last]
  AND NOT i.indisunique AND (i.indnkeyatts < j.indnkeyatts OR j.indisunique OR i.indexrelid > j.indexrelid)
ORDER BY bytes DESC LIMIT 10"""

SINCE = """SELECT extract(epoch FROM now() - greatest(
  coalesce(stats_reset, pg_postmaster_start_time()), '-infinity'))::float8 FROM pg_stat_database
WHERE datname = current_database()"""

SCANNED = """SELECT format('%I.%I', schemaname, relname) AS label, seq_scan AS scans, n_live_tup AS rows,
  seq_tup_read / seq_scan AS each FROM pg_stat_user_tables
WHERE seq_scan >= $1 AND seq_scan > coalesce(idx_scan, 0) AND seq_tup_read / greatest(seq_scan, 1) >= $2
  AND n_live_tup >= $2 ORDER BY seq_tup_read DESC LIMIT 10"""

FOREIGN_KEYS = """SELECT format('%I.%I', n.nspname, t.relname) AS label, k.confrelid::regclass::text AS other,
  (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY place)
    FROM unnest(k.conkey) WITH ORDINALITY AS c(number, place)
    JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = c.number) AS columns
FROM pg_constraint AS k JOIN pg_class AS t ON t.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND t.reltuples >= $1 AND NOT EXISTS (
  SELECT FROM pg_index AS i WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
  AND (i.indkey::int2[])[0:array_length(k.conkey, 1) - 1] @> k.conkey)
ORDER BY t.reltuples DESC LIMIT 10"""

# A sequence behind an integer column ends with the column.
SEQUENCES = """SELECT format('%I.%I', s.schemaname, s.sequencename) AS label, s.last_value,
  least(s.max_value, CASE a.atttypid WHEN 'int4'::regtype THEN 2147483647 WHEN 'int2'::regtype THEN 32767 END) AS most,
  CASE WHEN a.attnum IS NOT NULL THEN format('%s.%I', a.attrelid::regclass, a.attname) END AS column
FROM pg_sequences AS s
JOIN pg_namespace AS n ON n.nspname = s.schemaname
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.sequencename
LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
  AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
LEFT JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE s.increment_by > 0 AND NOT s.cycle AND s.last_value IS NOT NULL AND s.last_value > $1::float8 *
  least(s.max_value, CASE a.atttypid WHEN 'int4'::regtype THEN 2147483647 WHEN 'int2'::regtype THEN 32767 END)
ORDER BY s.last_value::float8 / s.max_value DESC LIMIT 10"""

EXTENSION = """SELECT (SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
  WHERE e.extname = 'pg_stat_statements') AS schema,
  EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements') AS available,
  current_setting('server_version_num')::int >= 130000 AS plans_too"""

# The first rows are those of all statements together.
STATEMENTS = """SELECT query, calls, {time} AS ms, {time} / greatest(calls, 1) AS mean, rows,
  {time} / nullif(sum({time}) OVER (), 0) AS share, count(*) FILTER (WHERE query = $1) OVER () AS hidden
FROM {schema}.pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY {time} DESC LIMIT {limit}"""

CACHE = """SELECT blks_hit AS hits, blks_read AS reads, deadlocks, temp_bytes, xact_rollback AS rollbacks
FROM pg_stat_database WHERE datname = current_database()"""
