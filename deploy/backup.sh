#!/bin/sh
# Back up the database, which is everything but the keys: documents with their PDFs, CDRs, cards, partners.
#
#   deploy/backup.sh FOLDER [DAYS]
#
# Writes FOLDER/emsp-<UTC time>.dump and its checksum, reads the dump once from end to end, and then removes dumps older
# than DAYS (default 35; 0 keeps all). A dump takes its name only when it is whole. Where the database is, PostgreSQL's own
# variables say: PGHOST, PGPORT, PGUSER, PGDATABASE, and PGPASSWORD or ~/.pgpass. Prints the name of the dump.
set -eu
umask 077

[ $# -ge 1 ] || { echo "usage: $0 FOLDER [DAYS]" >&2; exit 2; }
folder=$1
days=${2:-35}
: "${PGDATABASE:?the name of the database is not set}"

mkdir -p "$folder"
name=emsp-$(date -u +%Y%m%dT%H%M%SZ).dump
part=$folder/$name.part
trap 'rm -f "$part"' EXIT

pg_dump --format=custom --compress=6 --file="$part"
pg_restore --file=/dev/null "$part"   # a dump that cannot be read is no backup
(cd "$folder" && sha256sum "$name.part" | sed 's/\.part$//' > "$name.sha256")
mv "$part" "$folder/$name"

if [ "$days" -gt 0 ]; then
    find "$folder" -maxdepth 1 -name 'emsp-*.dump*' -type f -mtime "+$days" -delete
fi
echo "$folder/$name"
