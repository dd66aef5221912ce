#!/bin/sh
# Writes what compose.yaml needs to know and nobody else: random secrets, in a folder that only you can enter. What is
# there already stays. The files may be read by anybody who can enter, since each container is another user.
set -eu
umask 022

folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
echo '*' > .gitignore

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
write() { test -s "$1" || cat > "$1"; }

for name in server_secret postgres_password reader_password neo4j_password qdrant_key qdrant_admin_key \
    redis_password grafana_password; do
    random | write "$name"
done
printf 'postgresql://reader:%s@postgres:5432/shop' "$(cat reader_password)" | write postgres_dsn
printf 'neo4j/%s' "$(cat neo4j_password)" | write neo4j_auth
printf 'service:\n  api_key: %s\n  read_only_api_key: %s\n' "$(cat qdrant_admin_key)" "$(cat qdrant_key)" |
    write qdrant_config.yaml
printf 'requirepass %s\nsave ""\nappendonly no\nmaxmemory 192mb\nmaxmemory-policy volatile-ttl\n' "$(cat redis_password)" |
    write redis.conf
printf 'redis://:%s@redis:6379/0' "$(cat redis_password)" | write redis_url
