#!/usr/bin/env bash
# Tests the frame of test.sh: what failed, and what was not run, makes it fail.
# shellcheck disable=SC2016  # the inner shell expands them
set -uo pipefail
ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)"
scratch="$(mktemp -d)"
trap 'rm -rf -- "$scratch"' EXIT
bad=0

# frame WORDS…: the frame, in a shell of its own, which runs them and then the summary. Prints what that says.
frame() {
    rm -rf -- "$scratch/work" && mkdir -- "$scratch/work"
    env -u PFREC_ALLOW_NOT_RUN -u PFREC_ALLOW_SKIP "${environment[@]}" \
        work="$scratch/work" PFREC_NOT_RUN_FILE="$scratch/work/not-run" \
        bash -c '. "$0/scripts/steps.sh"; eval "$1"; summary' "$ROOT" "$1" >"$scratch/said" 2>&1
}

# expect WHAT STATUS PATTERN WORDS: the frame ends with STATUS and says PATTERN.
expect() {
    local what="$1" expected="$2" pattern="$3" status
    frame "$4"
    status=$?
    if [ "$status" -ne "$expected" ] || ! grep -qE -- "$pattern" "$scratch/said"; then
        echo "test steps::$what: exit status $status, expected $expected and '$pattern'; it said"
        sed 's/^/    /' "$scratch/said"
        bad=$((bad + 1))
    else
        good=$((good + 1))
    fi
}

good=0
{
    missing='step one eval "echo cgroup-v1: no controller >> \"\$PFREC_NOT_RUN_FILE\""'
    no_kprobe='step one eval "echo backend/kprobe: none >> \"\$PFREC_NOT_RUN_FILE\""'
}
environment=(A=1)
expect a_step_that_passes_is_a_success 0 '^ok +one' 'step one true'
expect a_step_that_fails_is_a_failure 1 '^0 passed, 1 failed$' 'step one false; step two true'
expect tests_are_added_up 1 '^7 passed, 2 failed$' \
    'step one echo "test result: ok. 7 passed; 0 failed; 0"; step two echo "test result: FAILED. 0 passed; 2 failed; 0"'
expect a_step_that_is_not_run_is_a_failure 1 '^!!! NOT RUN: cargo-deny: ' 'step "cargo deny" bash -c "echo none; exit 77"'
expect a_check_that_is_not_run_in_a_passing_step_is_a_failure 1 '^!!! NOT RUN: cgroup-v1: no controller' "$missing"
expect another_backend_is_wanted_where_nobody_has_it 1 '^!!! NOT RUN: backend/kprobe' "$no_kprobe"
expect another_backend_is_accepted_where_a_machine_has_it 0 '^--- NOT RUN, made in the virtual machines: backend/' \
    "$no_kprobe; made_elsewhere=backend/"
expect a_machine_without_a_backend_is_not_accepted 1 '^!!! NOT RUN: backend/kprobe@6.1' \
    "${no_kprobe/kprobe/kprobe@6.1}; made_elsewhere=backend/"
environment=(PFREC_ALLOW_NOT_RUN='user-namespaces cgroup-v1 cargo-deny')
expect what_is_allowed_by_name_is_accepted 0 '^--- NOT RUN, allowed by PFREC_ALLOW_NOT_RUN: cgroup-v1' "$missing"
expect a_step_is_allowed_by_name_too 0 'NOT RUN, allowed .* cargo-deny' 'step "cargo deny" bash -c "echo none; exit 77"'
environment=(PFREC_ALLOW_NOT_RUN='cgroup user-namespaces')
expect a_name_that_is_not_listed_is_not_accepted 1 '^!!! NOT RUN: cgroup-v1' "$missing"
environment=(PFREC_ALLOW_SKIP=1)
expect all_are_accepted_on_request 0 '^--- NOT RUN, allowed by PFREC_ALLOW_SKIP=1: cgroup-v1' "$missing"
expect a_failure_is_not 1 '^0 passed, 1 failed$' "$missing; step two false"

# The same line as a test program's: test.sh adds it up.
[ "$bad" -eq 0 ] && verdict=ok || verdict=FAILED
echo "test result: $verdict. $good passed; $bad failed;"
[ "$bad" -eq 0 ]
