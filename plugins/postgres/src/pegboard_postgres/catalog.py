"""The SQL that reads PostgreSQL's catalogs. Works from PostgreSQL 12 on."""

# The size of a table under an ACCESS EXCLUSIVE lock cannot be had without waiting for whoever holds it.
_TABLE = """WITH locked AS MATERIALIZED (
  SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation IS NOT NULL
)
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, stored.rows, stored.size_bytes,
  obj_description(c.oid, 'pg_class') AS comment
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT sum(p.reltuples::float8) FILTER (WHERE p.reltuples >= 0)::bigint AS rows,
    sum(CASE WHEN p.oid NOT IN (SELECT relation FROM locked) THEN pg_total_relation_size(p.oid) END)::bigint
      AS size_bytes
  FROM pg_class AS p
  WHERE p.relkind IN ('r', 'm', 'f') AND CASE c.relkind
    WHEN 'p' THEN p.oid IN (SELECT relid FROM pg_partition_tree(c.oid)) ELSE p.oid = c.oid END
) AS stored
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"""

TABLE = f"{_TABLE} AND c.oid = $1"

TABLES = f"""{_TABLE} AND NOT c.relispartition
  AND CASE WHEN $1::text IS NULL THEN n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    ELSE n.nspname = $1 END
  AND ($2::text IS NULL OR c.relname ILIKE $2 OR n.nspname || '.' || c.relname ILIKE $2)
  AND has_schema_privilege(n.oid, 'USAGE')
  AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
ORDER BY n.nspname, c.relname LIMIT $3 OFFSET $4"""

SCHEMAS = """SELECT nspname AS name FROM pg_namespace
WHERE has_schema_privilege(oid, 'USAGE') AND nspname NOT LIKE 'pg\\_t%'
ORDER BY nspname LIKE 'pg\\_%' OR nspname = 'information_schema', nspname"""

NAMES = """SELECT c.relname AS name, format('%I.%I', n.nspname, c.relname) AS label
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY abs(length(c.relname) - length($1)), c.oid LIMIT 1000"""

# $1 is the whole name as written, $2 the spellings of the table, $3 those of the schema; the likeliest come first.
FIND = """SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS label,
  CASE WHEN $1::text IN (c.relname::text, n.nspname || '.' || c.relname) THEN 0
    ELSE array_position($2::text[], c.relname::text) + coalesce(array_position($3::text[], n.nspname::text), 0) END
  + CASE WHEN $3::text[] IS NOT NULL OR pg_table_is_visible(c.oid) THEN 0 ELSE 100 END AS rank
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (
  $1::text IN (c.relname::text, n.nspname || '.' || c.relname)
  OR c.relname = ANY($2::text[]) AND ($3::text[] IS NULL OR n.nspname = ANY($3)))
ORDER BY rank, label LIMIT 20"""

COLUMNS = """SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
  pg_get_expr(d.adbin, d.adrelid) AS default, col_description(a.attrelid, a.attnum) AS comment,
  CASE WHEN a.attidentity = 'a' THEN 'always as identity' WHEN a.attidentity = 'd' THEN 'by default as identity'
    WHEN a.attgenerated = 's' THEN 'stored' WHEN a.attgenerated = 'v' THEN 'virtual' END AS generated,
  (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum AS e
    WHERE e.enumtypid IN (t.oid, t.typelem, t.typbasetype)) AS values
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

# A foreign key to a partitioned table has a copy for every partition, with a parent.
CONSTRAINTS = """SELECT k.contype::text AS kind, pg_get_constraintdef(k.oid, true) AS definition,
  k.conrelid AS table_oid, k.confrelid AS references_oid,
  format('%I.%I', tn.nspname, t.relname) AS table,
  CASE WHEN r.oid IS NOT NULL THEN format('%I.%I', rn.nspname, r.relname) END AS references,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS x(number, place)
    JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = x.number ORDER BY x.place) AS columns,
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS x(number, place)
    JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = x.number ORDER BY x.place) AS referenced_columns
FROM pg_constraint AS k
JOIN pg_class AS t ON t.oid = k.conrelid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_class AS r ON r.oid = k.confrelid LEFT JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
WHERE (k.conrelid = $1 OR k.confrelid = $1) AND (k.contype <> 'f' OR k.conparentid = 0)
ORDER BY k.contype, k.conrelid <> $1, tn.nspname, t.relname, k.conname"""

INDEXES = """SELECT pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' -- invalid' END AS definition
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = $1 ORDER BY NOT i.indisprimary, c.relname"""
