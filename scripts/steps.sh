# shellcheck shell=bash
# The frame of test.sh: steps that all run, checks within them that could not be made, and the summary that judges
# both; sourced by test.sh and by tests/steps.sh. Needs a folder `work` and PFREC_NOT_RUN_FILE, to which tests add
# lines of NAME: REASON (checks/src/lib.rs).

results=()
not_run=()
passed=0
failed=0
declare -A outcomes=()
# Begin of the names of what is made in another step; set when that step passed.
made_elsewhere=

# step NAME COMMAND…: runs it, shows its output, adds up the tests in it, and remembers how it ended.
# COMMAND returns 77 for "not run here"; its last line of output is then the reason.
step() {
    # shellcheck disable=SC2154  # who sources this has a folder for it
    local name="$1" log="$work/log" start=$SECONDS status sums
    shift
    printf '\n==> %s\n' "$name"
    "$@" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    sums="$(sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed;.*/\1 \2/p' "$log" |
        awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }')"
    passed=$((passed + ${sums% *}))
    failed=$((failed + ${sums#* }))
    case "$status" in
        0)
            results+=("ok       $name ($((SECONDS - start)) s)")
            outcomes["$name"]=ok
            ;;
        77)
            results+=("NOT RUN  $name: $(tail -n 1 "$log")")
            outcomes["$name"]='not run'
            not_run+=("$(word "$name"): $(tail -n 1 "$log")")
            ;;
        *)
            results+=("FAILED   $name (exit status $status)")
            outcomes["$name"]=failed
            [ "${sums#* }" -gt 0 ] || failed=$((failed + 1))
            ;;
    esac
}

# word NAME: the name of a step as PFREC_ALLOW_NOT_RUN has it, which is a list.
word() {
    tr ' A-Z' '-a-z' <<<"$1"
}

# outcome NAME: how that step ended.
outcome() {
    echo "${outcomes["$1"]:-not run}"
}

# why_accepted NAME: prints why it may be left out, or fails.
why_accepted() {
    if [[ " ${PFREC_ALLOW_NOT_RUN:-} " == *" $1 "* ]]; then
        echo "allowed by PFREC_ALLOW_NOT_RUN"
    elif [ -n "$made_elsewhere" ] && [[ "$1" == "$made_elsewhere"* && "$1" != *@* ]]; then
        echo "made in the virtual machines"
    elif [ "${PFREC_ALLOW_SKIP:-}" = 1 ]; then
        echo "allowed by PFREC_ALLOW_SKIP=1"
    else
        return 1
    fi
}

# Lists how everything ended, and exits.
summary() {
    local entry why status=0
    if [ -s "$PFREC_NOT_RUN_FILE" ]; then
        # The same check may be reached by several tests.
        mapfile -t -O "${#not_run[@]}" not_run < <(sort -u "$PFREC_NOT_RUN_FILE")
    fi
    printf '\n==> summary\n'
    printf '%s\n' "${results[@]}"
    [ "$failed" -eq 0 ] || status=1
    [ ${#not_run[@]} -eq 0 ] || echo
    for entry in "${not_run[@]}"; do
        if why="$(why_accepted "${entry%%:*}")"; then
            printf -- '--- NOT RUN, %s: %s\n' "$why" "$entry"
        else
            printf '!!! NOT RUN: %s\n' "$entry"
            status=1
        fi
    done
    if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
        echo "!!! what is not run is a failure; PFREC_ALLOW_NOT_RUN=\"NAME…\" accepts it by its name"
    fi
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    exit "$status"
}
