#!/bin/sh
# Runs a server in a temporary folder until standard input ends. However the tests end, the server is stopped and
# its folder removed. Prints the folder, which has the socket, once it is ready.
#
#   server.sh plain SETTINGS         PostgreSQL, with settings such as '-c fsync=on'
#   server.sh tls PORT               PostgreSQL that also listens there with TLS, the CA in ca.pem, another in other.pem
#   server.sh replica FOLDER OPTION  a streaming replica of the PostgreSQL in that folder, with an option
#   server.sh pooler FOLDER          PgBouncer in transaction mode in front of the PostgreSQL in that folder
set -eu

# The folder of a program that has looked for it already comes first.
for bin in "${DOWNLINK_POSTGRES_BIN:-}" "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] && break
done
[ -x "$bin/initdb" ] || {
    echo "no initdb: install PostgreSQL (Debian: apt-get install postgresql)" >&2
    exit 1
}

# initdb and PgBouncer refuse root.
if [ "$(id -u)" = 0 ] && [ -z "${DOWNLINK_POSTGRES_USER:-}" ]; then
    export DOWNLINK_POSTGRES_USER=postgres
    exec setpriv --reuid=postgres --regid=postgres --clear-groups sh "$0" "$@"
fi

folder=$(mktemp -d /tmp/downlink-postgres.XXXXXX)
chmod 755 "$folder"
cd "$folder"
stop() {
    "$bin/pg_ctl" stop -D data -m immediate >/dev/null 2>&1 || true
}
trap 'stop; rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

quietly() {
    "$@" >log 2>&1 </dev/null || {
        cat log >&2
        exit 1
    }
}

initialize() {
    quietly "$bin/initdb" -D data -U downlink -A trust -E UTF8 --no-locale -N
}

# The data is not needed after the tests, so nothing is synced to the disk, unless the settings ask for it.
start() {
    "$bin/pg_ctl" start -w -D data -l server.log >/dev/null </dev/null -o "\
        -c listen_addresses='' -c unix_socket_directories='$folder' -c max_connections=300 \
        -c fsync=off -c full_page_writes=off -c autovacuum=off -c wal_keep_size=1GB $settings"
}

start_or_exit() {
    start || {
        cat server.log >&2
        exit 1
    }
}

# Debian's PostgreSQL depends on openssl.
certificates() {
    for ca in ca other; do
        quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -subj "/CN=$ca" -keyout "$ca.key" -out "$ca.pem"
    done
    quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj /CN=localhost -keyout server.key -out server.csr
    echo 'subjectAltName = DNS:localhost' >names
    quietly openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
        -extfile names -out server.pem
}

pooler() {
    pgbouncer=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
    [ -x "$pgbouncer" ] || {
        echo "no pgbouncer: install it (Debian: apt-get install pgbouncer)" >&2
        exit 1
    }
    cat >pgbouncer.ini <<END
[databases]
single = host=$1 port=5432 dbname=postgres pool_size=1
* = host=$1 port=5432
[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = $folder
auth_type = trust
auth_file = $folder/users
auth_user = downlink
pool_mode = transaction
default_pool_size = 3
max_client_conn = 1000
server_idle_timeout = 5
server_lifetime = 3600
END
    echo '"downlink" ""' >users
    "$pgbouncer" -q pgbouncer.ini >server.log 2>&1 </dev/null &
    pid=$!
    stop() {
        kill "$pid" 2>/dev/null || true
    }
    until [ -S .s.PGSQL.5432 ]; do
        kill -0 "$pid" || {
            cat server.log >&2
            exit 1
        }
        sleep 0.05
    done
}

settings=
case ${1:-} in
    '' | plain)
        settings=${2:-}
        initialize
        start_or_exit
        ;;
    tls)
        settings="-c listen_addresses=localhost -c port=$2 -c ssl=on \
            -c ssl_cert_file=$folder/server.pem -c ssl_key_file=$folder/server.key"
        initialize
        certificates
        start_or_exit
        ;;
    replica)
        settings="-c $3"
        quietly "$bin/pg_basebackup" -h "$2" -U downlink -D data -R -X stream -c fast --no-sync
        start_or_exit
        ;;
    pooler) pooler "$2" ;;
esac
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
