#!/bin/bash
# Runs once, when the database is new: the role that the hub uses may read, and nothing else.
set -euo pipefail

psql -v ON_ERROR_STOP=1 -v password="$(< /run/secrets/reader_password)" -U postgres -d "$POSTGRES_DB" <<'SQL'
CREATE ROLE reader LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 50;
GRANT pg_read_all_data TO reader;
ALTER ROLE reader SET default_transaction_read_only = on;
SQL
