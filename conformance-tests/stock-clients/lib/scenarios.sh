# Sourced by the `run` scripts: finds what scenarios need, and runs them.
# shellcheck shell=bash

stock_clients=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
export DOWNLINK_TARGET=${DOWNLINK_TARGET:-$(realpath "$stock_clients/../../target")/debug}
export CHROMIUM=${CHROMIUM:-$(command -v chromium)}
export PAGE_TESTS=${DOWNLINK_TARGET%/*}/page-tests
# Debian keeps servers out of the path of ordinary users.
export PATH=$PATH:/usr/local/sbin:/usr/sbin

complain() {
    echo "$0: $*" >&2
    exit 1
}

require_tools() {
    local tool
    for tool in node "$CHROMIUM" "$@"; do
        command -v "$tool" >/dev/null || complain "'$tool' is missing: './check pages' installs what these tests need"
    done
    [[ -d $stock_clients/node_modules ]] || complain "the Node packages are missing: npm ci --prefix $stock_clients"
}

require_programs() {
    local program
    for program in "$@"; do
        [[ -x $DOWNLINK_TARGET/$program ]] || complain "$DOWNLINK_TARGET/$program is missing: cargo build --workspace --bins"
    done
}

# Runs these files and counts; true if all of them passed. They mostly wait, so a few run at a time.
run_scenarios() {
    local passed=0 failed=0 running=0
    trap 'kill $(jobs -p) 2>/dev/null; wait; exit 1' INT TERM
    await_one() {
        if wait -n; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
        running=$((running - 1))
    }
    for scenario in "$@"; do
        [[ $running -lt ${SCENARIOS_AT_ONCE:-3} ]] || await_one
        node "$scenario" &
        running=$((running + 1))
    done
    while [[ $running -gt 0 ]]; do await_one; done
    echo "$passed passed, $failed failed"
    [[ $failed == 0 && $passed != 0 ]]
}
