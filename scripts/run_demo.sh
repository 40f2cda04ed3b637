#!/usr/bin/env bash
# From a fresh clone to a report: set up, build, make a file, record a walk over it, analyze the trace.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
Usage: scripts/run_demo.sh [--size MB] [--pattern P] [--threads N] [--output FILE] [--keep]

Builds pfrec, makes a file of random bytes in /var/tmp, evicts it from the page cache, records a program that
walks it through a mapping, and reports on the trace. Only pfrec runs as root (through sudo if need be).

  --size MB       size of the file, 1 MB is 1048576 bytes [default: 64]
  --pattern P     order of the walk: seq, random, stride, mixed or zipf [default: random]
  --threads N     threads that walk, 4096 touches each [default: 2]
  --output FILE   where the trace stays [default: pfrec-demo.pfz here, or the next free pfrec-demo-2.pfz, …];
                  a FILE that exists is not overwritten
  --keep          leave the file that was walked
  -h, --help

The report goes to standard output, all else to standard error. At the end the trace is held against what the program
counted itself while it walked.
Exit status: 0 done, 1 a step failed, 2 wrong usage.
HELP
}

# number NAME VALUE LARGEST
number() {
    if ! [[ "$2" =~ ^[1-9][0-9]{0,6}$ ]] || [ "$2" -gt "$3" ]; then
        usage_error "$1 takes a number from 1 to $3, not '$2'"
    fi
}

size_mb=64
pattern=random
threads=2
output=
keep=false
while [ $# -gt 0 ]; do
    case "$1" in
        --size | --pattern | --threads | --output)
            [ $# -ge 2 ] || usage_error "$1 takes a value"
            case "$1" in
                --size) number "$1" "$2" 1048576; size_mb="$2" ;;
                --pattern)
                    case "$2" in
                        seq | random | stride | mixed | zipf) pattern="$2" ;;
                        *) usage_error "--pattern is seq, random, stride, mixed or zipf, not '$2'" ;;
                    esac
                    ;;
                --threads) number "$1" "$2" 4096; threads="$2" ;;
                --output)
                    [ -n "$2" ] || usage_error "--output takes the name of a file"
                    output="$2"
                    ;;
            esac
            shift 2
            ;;
        --keep) keep=true; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage_error "unknown argument '$1'" ;;
    esac
done

refuse_borrowed_home
require_root

# The trace: its place is known to be good before minutes go into the build.
if [ -z "$output" ]; then
    output=pfrec-demo.pfz
    for ((i = 2; i < 1000; i++)); do
        [ -e "$output" ] || [ -L "$output" ] || break
        output="pfrec-demo-$i.pfz"
    done
fi
case "$output" in
    /*) ;;
    *) output="$PWD/$output" ;;
esac
if [ -e "$output" ] || [ -L "$output" ]; then
    fail "$output exists: move it away, or give another --output"
fi
if ! [ -d "$(dirname -- "$output")" ] || ! [ -w "$(dirname -- "$output")" ]; then
    fail "cannot write to $(dirname -- "$output"): give another --output"
fi

# Not /tmp, which is often memory: what is never on a disk has no major faults.
disk=/var/tmp
free_mb="$(df --output=avail -BM -- "$disk" | tail -n 1 | tr -dc 0-9)"
[ "$free_mb" -gt $((size_mb + 16)) ] || fail "$disk has $free_mb MB left, too little for --size $size_mb"
in_memory=false
case "$(stat -f -c %T -- "$disk")" in
    tmpfs | ramfs)
        in_memory=true
        note "warning: $disk is memory, not a disk: expect minor faults only"
        ;;
esac
work="$(mktemp -d -- "$disk/pfrec-demo.XXXXXX")"
data="$work/data"
clean_up() {
    if $keep && [ -e "$data" ]; then
        note "the file that was walked: $data"
    else
        rm -rf -- "$work"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# rows FILTER…: how many faults of the threads that walked pass.
rows() {
    local thread names=()
    for ((thread = 0; thread < threads; thread++)); do
        names+=(--comm "pf-worker-$thread")
    done
    "$bin/pfanalyze" events "$output" "${names[@]}" "$@" --format json | grep -c '"ts_ns"' || true
}

# The walk's own count of its major faults lies between those on its file and all of its threads, which have a few more
# before and after it.
check() {
    local counted on_file all
    # Each thread has a count; the last is that of the process, which also faults on its own code.
    counted="$(sed -n 's/^ *"majors": *\([0-9]*\).*/\1/p' "$work/walk.json" | head -n -1 | awk '{ sum += $1 } END { print sum }')"
    [ -n "$counted" ] || fail "mmap-workload did not tell its major faults"
    on_file="$(rows --major --file "$data")"
    all="$(rows --major)"
    note "      major faults: the program counted $counted; in the trace $on_file on its file, $all of its threads"
    [ "$counted" -gt 0 ] || $in_memory || fail "the walk had no major fault, though its file was evicted"
    if [ "$on_file" -gt "$counted" ] || [ "$counted" -gt "$all" ]; then
        fail "the trace does not have what the program counted"
    fi
    [ "$(rows)" -gt 0 ] || fail "no fault of the walk is in the trace"
}

note "[1/7] environment"
"$ROOT/scripts/setup_environment.sh"

note "[2/7] build in $CARGO_TARGET_DIR (the first time takes about 20 minutes of CPU time)"
# The whole workspace, as in test.sh: another selection of packages may mean other features, and polars twice.
(cd -- "$ROOT" && cargo build --release --locked --workspace)
bin="$CARGO_TARGET_DIR/release"

note "[3/7] check that this kernel lets pfrec record"
if ! as_root "$bin/pfrec" doctor >"$work/doctor" 2>&1; then
    cat -- "$work/doctor" >&2
    fail "pfrec cannot record here: see above"
fi
note "      $(grep '^pfrec would use' "$work/doctor" || echo 'it does')"

note "[4/7] generate $size_mb MB of random bytes: $data"
"$bin/data-generator" -f "$data" -s "$size_mb" -p random >&2

note "[5/7] record mmap-workload: $pattern order, $threads thread(s), file evicted from the page cache first"
as_root "$bin/pfrec" -o "$output" -- \
    "$bin/mmap-workload" -f "$data" --evict -p "$pattern" -t "$threads" --format json >"$work/walk.json"

note "[6/7] report"
"$bin/pfanalyze" "$output"

note "[7/7] check: is everything in it?"
check

note "trace: $output ($(stat -c %s -- "$output") bytes); look further with $bin/pfanalyze --help"
