#!/usr/bin/env bash
# Measurements of pfrec, one subcommand each; the measuring is in scripts/bench/.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
Usage: scripts/bench.sh overhead [--runs N] [--quick] [--load TEXT] [--tool TEXT] [--dir DIR] [--raw FILE]
                                 [--no-build]
       scripts/bench.sh queries [--no-build]

overhead: what recording costs the program that is recorded. Fault-heavy programs (cold file, cached file,
anonymous memory; one and two threads) run untraced, under pfrec and under other tools, interleaved. Needs
root (through sudo if need be), perf and bpftrace; what is missing or cannot work here is reported as NOT RUN.

  --runs N     rounds: in each, every tool runs once on every load [default: 7]
  --quick      3 rounds (unless --runs is given) of a quarter of the faults: to see that it works
  --load TEXT  only loads whose name contains TEXT; may be given several times
  --tool TEXT  only tools whose name contains TEXT, and the untraced run; may be given several times
  --dir DIR    where 300 MB of files go: a disk, not memory [default: $TMPDIR or /var/tmp]
  --raw FILE   write every single measurement to FILE as JSON
  --no-build   take the release binaries as they are in $CARGO_TARGET_DIR (default ~/.cache/pfrec/target)
  -h, --help

A full run takes about a quarter of an hour, --quick two minutes.

queries: what the probes of --query cost the calls that they are on: not attached to, attached to, and in a process
that is not recorded. Needs root, a C compiler and sys/sdt.h; takes one minute.

Results go to standard output, progress to standard error. Keep the machine quiet meanwhile.
Exit status: 0 measured, 1 a claim failed or the measurement did, 2 wrong usage.
HELP
}

# The whole workspace, as in test.sh, or polars would be built twice.
build() {
    note "build in $CARGO_TARGET_DIR"
    (cd -- "$ROOT" && cargo build --release --locked --workspace)
}

# engine NAME ARGUMENT…: scripts/bench/NAME.py as root, on the binaries that were built.
engine() {
    local name="$1"
    shift
    have python3 || fail "this needs python3: apt-get install python3"
    as_root python3 -B "$ROOT/scripts/bench/$name.py" --bin "$CARGO_TARGET_DIR/release" "$@"
}

overhead() {
    local must_build=true arguments=()
    while [ $# -gt 0 ]; do
        case "$1" in
            --runs)
                if ! [[ "${2:-}" =~ ^[1-9][0-9]{0,3}$ ]]; then
                    usage_error "--runs takes a number from 1 to 9999, not '${2:-}'"
                fi
                arguments+=("$1" "$2")
                shift 2
                ;;
            --load | --tool | --dir | --raw)
                [ -n "${2:-}" ] || usage_error "$1 takes a value"
                arguments+=("$1" "$2")
                shift 2
                ;;
            --quick) arguments+=("$1"); shift ;;
            --no-build) must_build=false; shift ;;
            -h | --help) usage; exit 0 ;;
            *) usage_error "unknown argument '$1'" ;;
        esac
    done
    refuse_borrowed_home
    require_root
    if $must_build; then
        build
    fi
    engine overhead "${arguments[@]}"
}

queries() {
    local must_build=true
    case "$*" in
        '') ;;
        --no-build) must_build=false ;;
        -h | --help) usage; exit 0 ;;
        *) usage_error "unknown argument '$1'" ;;
    esac
    refuse_borrowed_home
    require_root
    if $must_build; then
        build
    fi
    engine queries
}

case "${1:-}" in
    overhead) shift; overhead "$@" ;;
    queries) shift; queries "$@" ;;
    -h | --help) usage ;;
    '') usage_error "what is to be measured? overhead or queries" ;;
    *) usage_error "unknown subcommand '$1'" ;;
esac
