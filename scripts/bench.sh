#!/usr/bin/env bash
# Measurements of pfrec, one subcommand each; the measuring is in scripts/bench/.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
Usage: scripts/bench.sh overhead [--runs N] [--quick] [--load TEXT] [--tool TEXT] [--before PFREC] [--dir DIR]
                                 [--raw FILE] [--no-build]
       scripts/bench.sh queries [--no-build]
       scripts/bench.sh format [--runs N] [--quick] [--dir DIR] [--raw FILE] [--no-build]
       scripts/bench.sh analyze [--runs N] [--quick] [--dir DIR] [--raw FILE] [--no-build]

overhead: what recording costs the program that is recorded. Fault-heavy programs (cold file, cached file,
anonymous memory; one and two threads) run untraced, under pfrec and under other tools, interleaved. Needs
root (through sudo if need be), perf and bpftrace; what is missing or cannot work here is reported as NOT RUN.

  --runs N     rounds: in each, every tool runs once on every load [default: 7]
  --quick      3 rounds (unless --runs is given) of a quarter of the faults: to see that it works
  --load TEXT  only loads whose name contains TEXT; may be given several times
  --tool TEXT  only the tool of that name, or tools whose name contains TEXT, and the untraced run; may be given several times
  --before PFREC
               an older pfrec, measured as "pfrec before" in the same rounds
  --dir DIR    where 300 MB of files go: a disk, not memory [default: $TMPDIR or /var/tmp]
  --raw FILE   write every single measurement to FILE as JSON
  --no-build   take the release binaries as they are in $CARGO_TARGET_DIR (default ~/.cache/pfrec/target)
  -h, --help

A full run takes about a quarter of an hour, --quick two minutes.

queries: what the probes of --query cost the calls that they are on: not attached to, attached to, and in a process
that is not recorded. Needs root, a C compiler and sys/sdt.h; takes one minute.

format: bytes per event of a trace, and how fast it is written and read on one thread, beside an array of structs with
zstd, Parquet, and the order-0 entropy of its columns: of 10 million made-up events of 8 threads and of 1024, and of
recordings of real programs, these beside perf record with and without -z. Needs root and perf for the recordings,
and the network once, for pyarrow in ~/.cache/pfrec/bench-venv; what is missing is reported as NOT RUN.

  --runs N     rounds of writing and reading everything [default: 5]
  --quick      1 million events, recordings of a quarter of the faults, 3 rounds (unless --runs is given): what a
               file has besides its events weighs more then, and cold files may miss their claim by it
  --dir, --raw, --no-build
               as above; the columns for Parquet take 600 MB in DIR

A full run takes about five minutes, --quick one.

analyze: how long pfanalyze takes for its report and its verbs, and how much memory, on traces of 1, 10 and 100 million
made-up events: beside decoding alone, a window of 1 % of the time, perf report and perf script on their recording of a
program that pfrec records as well, and DuckDB and polars on Parquet of the same columns, two CPUs for each. Needs root and perf for that
recording, and the network once, for what is in ~/.cache/pfrec/bench-venv; what is missing is reported as NOT RUN.

  --runs N     rounds of asking everything [default: 5]
  --quick      up to 10 million events, a short recording, 3 rounds (unless --runs is given)
  --dir, --raw, --no-build
               as above; DIR needs 8 GB, with --quick 1 GB, and memory enough to keep the traces cached

A full run takes about a quarter of an hour, --quick two minutes.

Results go to standard output, progress to standard error. Keep the machine quiet meanwhile.
Exit status: 0 measured, 1 a claim failed or the measurement did, 2 wrong usage.
HELP
}

# The whole workspace, as in test.sh, or polars would be built twice.
build() {
    note "build in $CARGO_TARGET_DIR"
    (cd -- "$ROOT" && cargo build --release --locked --workspace)
}

# The options that overhead, format and analyze share, into `arguments` and `must_build`. The first argument is a pattern of
# those that take a value.
parse() {
    local with_value="$1"
    shift
    must_build=true
    arguments=()
    while [ $# -gt 0 ]; do
        case "$1" in
            --runs)
                if ! [[ "${2:-}" =~ ^[1-9][0-9]{0,3}$ ]]; then
                    usage_error "--runs takes a number from 1 to 9999, not '${2:-}'"
                fi
                arguments+=("$1" "$2")
                shift 2
                ;;
            --quick) arguments+=("$1"); shift ;;
            --no-build) must_build=false; shift ;;
            -h | --help) usage; exit 0 ;;
            *)
                [[ "$1" =~ ^($with_value)$ ]] || usage_error "unknown argument '$1'"
                [ -n "${2:-}" ] || usage_error "$1 takes a value"
                arguments+=("$1" "$2")
                shift 2
                ;;
        esac
    done
}

# engine NAME ARGUMENT…: scripts/bench/NAME.py as root, on the binaries that were built.
engine() {
    local name="$1"
    shift
    have python3 || fail "this needs python3: apt-get install python3"
    as_root python3 -B "$ROOT/scripts/bench/$name.py" --bin "$CARGO_TARGET_DIR/release" "$@"
}

overhead() {
    parse '--load|--tool|--before|--dir|--raw' "$@"
    refuse_borrowed_home
    require_root
    if $must_build; then
        build
    fi
    engine overhead "${arguments[@]}"
}

BENCH_VENV="${HOME:?}/.cache/pfrec/bench-venv"

# with_python NOT: adds the option that names a Python that has what is compared with, or the option NOT with the reason
# why there is none. As the user, whose cache it is.
with_python() {
    local missing="$1" log
    note "numpy, pyarrow, duckdb and polars in $BENCH_VENV"
    if log="$(make_venv "$BENCH_VENV" bench 2>&1)"; then
        arguments+=(--python "$BENCH_VENV/bin/python")
    else
        arguments+=("$missing" "no Python that has scripts/requirements/bench.txt: ${log##*$'\n'}")
    fi
}

format() {
    parse '--dir|--raw' "$@"
    refuse_borrowed_home
    require_root
    if $must_build; then
        build
        (cd -- "$ROOT" && cargo build --release --locked -p pf-formats --example format_bench)
    fi
    with_python --no-parquet
    engine format "${arguments[@]}"
}

analyze() {
    parse '--dir|--raw' "$@"
    refuse_borrowed_home
    require_root
    if $must_build; then
        build
        (cd -- "$ROOT" && cargo build --release --locked --workspace --example format_bench --example decode --example synthetic)
    fi
    with_python --no-engines
    engine analyze "${arguments[@]}"
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
    format) shift; format "$@" ;;
    analyze) shift; analyze "$@" ;;
    -h | --help) usage ;;
    '') usage_error "what is to be measured? overhead, queries, format or analyze" ;;
    *) usage_error "unknown subcommand '$1'" ;;
esac
