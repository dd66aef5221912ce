"""The SQL that reads PostgreSQL's catalogs. Works from PostgreSQL 12 on."""

# ruff: noqa: S608 # what is put together here are constants

_READABLE = """has_schema_privilege(n.oid, 'USAGE')
  AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))"""

_NOT_SYSTEM = "n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"

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

# Those after ($3, $4), a schema and a name.
TABLES = f"""{_TABLE} AND NOT c.relispartition
  AND CASE WHEN $1::text IS NULL THEN {_NOT_SYSTEM} ELSE n.nspname = $1 END
  AND ($2::text IS NULL OR c.relname ILIKE $2 OR n.nspname || '.' || c.relname ILIKE $2)
  AND (n.nspname, c.relname) > ($3::name, $4::name) AND {_READABLE}
ORDER BY n.nspname, c.relname LIMIT $5"""

SCHEMAS = """SELECT nspname AS name FROM pg_namespace
WHERE has_schema_privilege(oid, 'USAGE') AND nspname NOT LIKE 'pg\\_t%'
ORDER BY nspname LIKE 'pg\\_%' OR nspname = 'information_schema', nspname"""

# What looks like $1; names of about its length come first.
NAMES = f"""SELECT c.relname AS name, format('%I.%I', n.nspname, c.relname) AS label
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_NOT_SYSTEM} AND {_READABLE}
ORDER BY abs(length(c.relname) - length($1)), c.oid LIMIT 1000"""

COLUMNS_OF = f"""SELECT a.attname AS name, c.relname AS table
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relname = ANY($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  AND (pg_table_is_visible(c.oid) OR n.nspname = ANY($1)) AND {_READABLE}
ORDER BY c.relname, a.attnum LIMIT 1000"""

FUNCTIONS = """SELECT p.proname AS name, p.oid::regprocedure::text AS label FROM pg_proc AS p
WHERE pg_function_is_visible(p.oid) AND has_function_privilege(p.oid, 'EXECUTE') AND p.prokind IN ('f', 'a', 'w')
  AND p.prorettype <> 'internal'::regtype
ORDER BY p.proname = $1 DESC, abs(length(p.proname) - length($1)), p.oid LIMIT 1000"""

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
    WHERE e.enumtypid IN (t.oid, t.typelem, t.typbasetype)) AS values,
  has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable
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

_KIND = """CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'f' THEN 'table' ELSE 'view' END"""

# Everything with a name or a comment that matches the regular expression $1 and is of the kinds $2.
SEARCH = f"""WITH relation AS (
  SELECT c.oid, c.relname, format('%I.%I', n.nspname, c.relname) AS label, {_KIND} AS kind
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND {_NOT_SYSTEM} AND {_READABLE}
), found AS (
  SELECT kind, label, relname::text AS name, '' AS parent, NULL AS type, d.description AS comment
  FROM relation LEFT JOIN pg_description AS d
    ON d.classoid = 'pg_class'::regclass AND d.objoid = relation.oid AND d.objsubid = 0
  UNION ALL
  SELECT 'column', label || '.' || quote_ident(a.attname), a.attname, relname,
    format_type(a.atttypid, a.atttypmod), d.description
  FROM relation JOIN pg_attribute AS a ON a.attrelid = relation.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_description AS d
    ON d.classoid = 'pg_class'::regclass AND d.objoid = relation.oid AND d.objsubid = a.attnum
  UNION ALL
  SELECT 'enum', format('%I.%I', n.nspname, t.typname), e.enumlabel, t.typname, NULL, NULL
  FROM pg_enum AS e JOIN pg_type AS t ON t.oid = e.enumtypid JOIN pg_namespace AS n ON n.oid = t.typnamespace
  WHERE {_NOT_SYSTEM} AND has_schema_privilege(n.oid, 'USAGE')
  UNION ALL
  SELECT 'function', p.oid::regprocedure::text, p.proname, '', format_type(p.prorettype, NULL), d.description
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
  LEFT JOIN pg_description AS d ON d.classoid = 'pg_proc'::regclass AND d.objoid = p.oid
  WHERE {_NOT_SYSTEM} AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
    AND NOT EXISTS (SELECT FROM pg_depend AS x WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid
      AND x.deptype = 'e')
)
SELECT kind, label, name, parent, type, comment FROM found
WHERE ($2::text[] IS NULL OR kind = ANY($2)) AND (name ~* $1 OR comment ~* $1)
ORDER BY name ~* $1 DESC, length(name), label, name LIMIT 2000"""

GRAPH = f"""SELECT k.conrelid AS table_oid, k.confrelid AS references_oid,
  format('%I.%I', n.nspname, c.relname) AS table, format('%I.%I', rn.nspname, r.relname) AS references,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS x(number, place)
    JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = x.number ORDER BY x.place) AS columns,
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS x(number, place)
    JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = x.number ORDER BY x.place) AS referenced_columns
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS r ON r.oid = k.confrelid JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND {_NOT_SYSTEM} AND {_READABLE}
  AND has_schema_privilege(rn.oid, 'USAGE')
  AND (has_table_privilege(r.oid, 'SELECT') OR has_any_column_privilege(r.oid, 'SELECT'))
ORDER BY 3, 4, k.conname LIMIT 20000"""

LABEL = """SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = $1"""
