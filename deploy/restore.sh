#!/bin/sh
# Bring a backup back into an empty database.
#
#   deploy/restore.sh FILE.dump
#
# Refuses a dump whose checksum is missing or wrong, and a database that has tables: nothing is ever overwritten. All or
# nothing is restored. Where the database is, PostgreSQL's own variables say, as for backup.sh.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 FILE.dump" >&2; exit 2; }
dump=$1
: "${PGDATABASE:?the name of the database is not set}"

[ -f "$dump" ] || { echo "$dump: there is no such file" >&2; exit 1; }
[ -f "$dump.sha256" ] || { echo "$dump.sha256 is missing: it belongs to the backup" >&2; exit 1; }
(cd "$(dirname "$dump")" && sha256sum --check --status "$(basename "$dump").sha256") || {
    echo "$dump is not what was backed up: its checksum is wrong" >&2
    exit 1
}

tables=$(psql --no-psqlrc --tuples-only --no-align --command \
    "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'")
[ "$tables" = 0 ] || {
    echo "the database $PGDATABASE has $tables tables: restore into an empty one (createdb), then point the platform at it" >&2
    exit 1
}

pg_restore --dbname="$PGDATABASE" --no-owner --no-privileges --exit-on-error --single-transaction "$dump"
psql --no-psqlrc --quiet --command "ANALYZE"
echo "restored $dump into $PGDATABASE"
