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

DOWNLINK_POSTGRES_ARGUMENTS=${DOWNLINK_POSTGRES_ARGUMENTS:-}
folder=$(mktemp -d /tmp/downlink-postgres.XXXXXX)
chmod 755 "$folder"
cd "$folder"
trap '"$bin/pg_ctl" stop -D data -m immediate >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

"$bin/initdb" -D data -U downlink -A trust -E UTF8 --no-locale -N >init.log 2>&1 </dev/null || {
    cat init.log >&2
    exit 1
}
# The data is not needed after the tests, so nothing is synced to the disk, unless the arguments ask for it.
start() {
    "$bin/pg_ctl" start -w -D data -l server.log >/dev/null </dev/null -o "\
        -c listen_addresses='' -c unix_socket_directories='$folder' -c max_connections=300 \
        -c fsync=off -c full_page_writes=off -c autovacuum=off $DOWNLINK_POSTGRES_ARGUMENTS"
}
start || {
    cat server.log >&2
    exit 1
}
echo "$folder"

# Commands that end the server and start it again.
while read -r command; do
    case $command in
        restart) "$bin/pg_ctl" restart -w -D data -m immediate -l server.log >/dev/null </dev/null ;;
        kill)
            kill -9 "$(head -n 1 data/postmaster.pid)"
            # Its other processes have to notice that first.
            tries=0
            until start 2>/dev/null; do
                tries=$((tries + 1))
                [ "$tries" -lt 300 ] || {
                    cat server.log >&2
                    exit 1
                }
                sleep 0.1
            done
            ;;
    esac
    echo "done"
done
