#!/bin/sh
# Run a command with PostgreSQL's own variables, made from those of its image. For compose.yaml.
set -eu
export PGUSER="$POSTGRES_USER" PGPASSWORD="$POSTGRES_PASSWORD" PGDATABASE="${PGDATABASE:-$POSTGRES_DB}"
exec "$@"
