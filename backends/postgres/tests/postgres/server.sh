#!/bin/sh
# Runs a PostgreSQL server in a temporary folder until standard input ends. However the tests end, the
# server is stopped and its folder removed. Prints the folder, which has the socket, once it is ready.
set -eu

for bin in "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] && break
done
[ -x "$bin/initdb" ] || {
    echo "no initdb: install PostgreSQL (Debian: apt-get install postgresql)" >&2
    exit 1
}

# initdb refuses root.
if [ "$(id -u)" = 0 ] && [ -z "${DOWNLINK_POSTGRES_USER:-}" ]; then
    export DOWNLINK_POSTGRES_USER=postgres
    exec setpriv --reuid=postgres --regid=postgres --clear-groups sh "$0"
fi

folder=$(mktemp -d /tmp/downlink-postgres.XXXXXX)
chmod 755 "$folder"
cd "$folder"
trap '"$bin/pg_ctl" stop -D data -m immediate >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

"$bin/initdb" -D data -U downlink -A trust -E UTF8 --no-locale -N >init.log 2>&1 </dev/null || {
    cat init.log >&2
    exit 1
}
# The data is not needed after the tests, so nothing is synced to the disk.
"$bin/pg_ctl" start -w -D data -l server.log >/dev/null </dev/null -o "\
    -c listen_addresses='' -c unix_socket_directories='$folder' -c max_connections=300 \
    -c fsync=off -c full_page_writes=off -c autovacuum=off" || {
    cat server.log >&2
    exit 1
}
echo "$folder"
cat >/dev/null
