#!/bin/sh
# Asks the live service everything that openapi.yaml promises, good questions and bad ones.
#
# Starts `nearcast demo` on free loopback ports, waits until it is ready, runs schemathesis against the player side
# and the operators' side, stops the service by its process id; then the same by HTTPS, against a service with
# [server.tls] on both sides. Same seed, same questions, every time.
#   NEARCAST          the binary (default: debug/nearcast in cargo's target folder)
#   SCHEMATHESIS      the command (default: .venv/bin/schemathesis; `make setup` installs it)
#   MAX_EXAMPLES      questions per operation and phase (default: 30)
#   SEED              other questions (default: 20260101)
set -eu
cd "$(dirname "$0")/.."

NEARCAST=${NEARCAST:-${CARGO_TARGET_DIR:-target}/debug/nearcast}
SCHEMATHESIS=${SCHEMATHESIS:-$PWD/.venv/bin/schemathesis}
CONTRACT=$PWD/openapi.yaml
SETTINGS=$PWD/tests/schemathesis.toml
MAX_EXAMPLES=${MAX_EXAMPLES:-30}
SEED=${SEED:-20260101}
READY_LIMIT_S=90
# What the player side alone serves. The operators' side is asked for all other paths, the probes among them.
PLAYER_PATHS='^/(resolve|d|rtt|dns-query|api/v1/.*|hooks/.*|t/.*|\{account\}/.*|\{app\}/.*)?$'

# Takes octets of a kind that schemathesis cannot make; tests/blackbox/doh.rs has a table of them.
OCTETS=dnsQueryPost

fail() {
    echo "schemathesis.sh: $*" >&2
    exit 1
}

[ -f "$CONTRACT" ] || fail "openapi.yaml is missing"
[ -x "$NEARCAST" ] || fail "$NEARCAST is missing; build it: cargo build --locked"
command -v "$SCHEMATHESIS" >/dev/null || fail "$SCHEMATHESIS is missing; install it: make setup"
command -v openssl >/dev/null || fail "openssl is missing; install it: apt-get install -y openssl"
command -v curl >/dev/null || fail "curl is missing; install it: apt-get install -y curl"

folder=$(mktemp -d)
service=
clean_up() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$service" ]; then
        kill "$service" 2>/dev/null || true
        wait "$service" 2>/dev/null || true
    fi
    if [ "$status" -ne 0 ] && [ -s "$folder/log" ]; then
        echo "--- the end of the service's log:" >&2
        tail -n 40 "$folder/log" >&2
    fi
    rm -rf "$folder"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

NO_COLOR=1 "$NEARCAST" demo --listen 127.0.0.1:0 >"$folder/log" 2>&1 </dev/null &
service=$!

# The address of the page $1 that the demo's welcome names.
address() {
    sed -n "s|.* http://\([0-9.]*:[0-9]*\)/$1\$|\1|p" "$folder/log" | head -n 1
}

waited=0
until admin=$(address nodes) && [ -n "$admin" ] && curl -fsS -o /dev/null "http://$admin/readyz" 2>/dev/null; do
    kill -0 "$service" 2>/dev/null || fail "the service ended before it was ready"
    [ "$waited" -lt "$READY_LIMIT_S" ] || fail "the service was not ready within $READY_LIMIT_S s"
    sleep 1
    waited=$((waited + 1))
done
player=$(address resolve)
[ -n "$player" ] || fail "the welcome names no player address"

# One side: its base address, then how its operations are chosen.
check() {
    base=$1
    shift
    echo "--- schemathesis against $base"
    # From the temporary folder, because schemathesis leaves its notes where it runs.
    (cd "$folder" && "$SCHEMATHESIS" --config-file "$SETTINGS" --no-color run "$CONTRACT" --url "$base" "$@" \
        --seed "$SEED" --generation-database none \
        --max-examples "$MAX_EXAMPLES" --request-timeout 10 --workers 1 --checks all --continue-on-failure)
}

# What players ask, at a base address.
check_player() {
    side=$1
    shift
    check "$side" "$@" --include-path-regex "$PLAYER_PATHS" --exclude-tag media \
        --exclude-operation-id-regex "^(play|pull|$OCTETS\$)" || return 1
    # domain= and vhost= have to agree, which the contract has no words for.
    check "$side" "$@" --include-operation-id-regex '^(play|pull)' --exclude-checks positive_data_acceptance
}

# Both sides are asked even if the first one fails.
failed=0
check_player "http://$player" || failed=1
# A stream has no end to wait for.
check "http://$admin" --exclude-path-regex "$PLAYER_PATHS|^/nodes/events\$" || failed=1
kill -0 "$service" 2>/dev/null || fail "the service did not survive the questions"
kill "$service"
wait "$service" 2>/dev/null || true

# The same by HTTPS.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/a.key" -out "$folder/a.crt" 2>/dev/null
cat >"$folder/tls.toml" <<END
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
tls = { listen = "127.0.0.1:0", certificate = "a.crt", key = "a.key", admin = true }
[[pools]]
name = "edges"
[[nodes]]
id = "sh-1"
pool = "edges"
addresses = ["203.0.113.10", "2001:db8::10"]
location = { latitude = 31.23, longitude = 121.47 }
[[nodes]]
id = "fra-1"
pool = "edges"
addresses = ["203.0.113.20"]
location = { latitude = 50.11, longitude = 8.68 }
[[domains]]
name = "live.example.com"
pool = "edges"
[streams]
[[callers]]
token_file = "edges.token"
pool = "edges"
END
# The token that openapi.yaml has as its example.
echo 0123456789abcdef >"$folder/edges.token"
NO_COLOR=1 "$NEARCAST" serve --config "$folder/tls.toml" >"$folder/log" 2>&1 </dev/null &
service=$!
listener() {
    sed -n "s/.*listening.* $1=\([0-9.]*:[0-9]*\).*/\1/p" "$folder/log" | head -n 1
}
waited=0
until [ -n "$(listener tls)" ] && curl -fsS -o /dev/null --cacert "$folder/a.crt" "https://$(listener admin)/readyz" 2>/dev/null; do
    kill -0 "$service" 2>/dev/null || fail "the service with TLS ended before it was ready"
    [ "$waited" -lt "$READY_LIMIT_S" ] || fail "the service with TLS was not ready within $READY_LIMIT_S s"
    sleep 1
    waited=$((waited + 1))
done
check_player "https://$(listener tls)" --tls-verify "$folder/a.crt" || failed=1
# A media server is refused by a 200 with another code than 0, so a status tells nothing of what was taken.
check "https://$(listener tls)" --tls-verify "$folder/a.crt" --include-tag media \
    --exclude-checks negative_data_rejection,positive_data_acceptance || failed=1
# The stream of events has no end, so neither side asks for it.
check "https://$(listener admin)" --tls-verify "$folder/a.crt" --exclude-path-regex "$PLAYER_PATHS|^/nodes/events\$" || failed=1
kill -0 "$service" 2>/dev/null || fail "the service with TLS did not survive the questions"
[ "$failed" -eq 0 ] || fail "openapi.yaml and the service disagree (above)"
