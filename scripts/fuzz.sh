#!/usr/bin/env bash
# Throws bytes at the readers of .pfz files and of the files of recorded programs, until they break or the time is over.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
Usage: scripts/fuzz.sh [--fast] [--seconds N] [--jobs N] [TARGET…]

Builds the fuzz targets of formats/fuzz and recorder/fuzz with libFuzzer and AddressSanitizer, makes their seeds, and
runs each for a while. What they find stays for the next run. No target: all of them.

  reader      whole files: any bytes, and any bytes with right checksums
  block       payloads of EVENTS; what decodes must survive being written again
  records     payloads of all other records; the same
  round_trip  events made to hurt the encoder must come back
  elf         programs: their functions, probes with arguments, and links to debug files; as files or described
  names       names of functions, arguments of probes and maps of just-in-time compiled code, as texts

  --fast       without AddressSanitizer and without a look at what is compared: many times as many executions. For
               long runs on a corpus that was found without it; memory of others is looked after by the compiler alone
  --seconds N  for each target [default: 60]
  --jobs N     targets side by side [default: 1]
  -h, --help

An input is a finding when it makes a target panic or touch memory that is not its own, takes more than 10 seconds, more
than 256 MiB of heap (counted by the targets; 16 in elf and 8 in names; `heap` in the results is the most there was),
more than 256 MiB in one allocation in C, or when the whole process with the sanitizer, libFuzzer and its corpus
grows over 512 MiB (`process` is the most there was).

Needs a C++ compiler. Installs cargo-fuzz into ~/.cache/pfrec/tools where it is missing. Corpus, logs and findings are
in ~/.cache/pfrec/fuzz. Results go to standard output, progress to standard error.
Exit status: 0 nothing found, 1 something was found or failed, 2 wrong usage.
HELP
}

ALL_TARGETS=(reader block records round_trip elf names)
CARGO_FUZZ_VERSION=0.13.2

# number NAME VALUE
number() {
    if ! [[ "$2" =~ ^[1-9][0-9]{0,5}$ ]]; then
        usage_error "$1 takes a number from 1 to 999999, not '$2'"
    fi
}

seconds=60
jobs=1
build="$CARGO_TARGET_DIR/fuzz"
options=()
targets=()
while [ $# -gt 0 ]; do
    case "$1" in
        --fast) build="$CARGO_TARGET_DIR/fuzz-fast"; options=(--sanitizer none --no-trace-compares); shift ;;
        --seconds) number "$1" "${2:-}"; seconds="$2"; shift 2 ;;
        --jobs) number "$1" "${2:-}"; jobs="$2"; shift 2 ;;
        -h | --help) usage; exit 0 ;;
        reader | block | records | round_trip | elf | names) targets+=("$1"); shift ;;
        *) usage_error "unknown argument '$1'" ;;
    esac
done
[ ${#targets[@]} -gt 0 ] || targets=("${ALL_TARGETS[@]}")

refuse_borrowed_home
cd -- "$ROOT"
cache="$HOME/.cache/pfrec"
work="$cache/fuzz"
mkdir -p -- "$work"
# Numbers in the results are compared and printed.
export LC_ALL=C

# --- build -----------------------------------------------------------------------------------------

have c++ || fail "libFuzzer is built with a C++ compiler: apt-get install g++"
PATH="$cache/tools/bin:$PATH"
if ! have cargo-fuzz; then
    note "installing cargo-fuzz $CARGO_FUZZ_VERSION into $cache/tools"
    cargo install cargo-fuzz --version "$CARGO_FUZZ_VERSION" --locked --root "$cache/tools"
fi

note "seeds in $work/seeds"
rm -rf -- "$work/seeds"
cargo run --release --locked --quiet -p pf-formats --example fuzz_seeds -- "$work/seeds"
cargo run --release --locked --quiet -p pfrec --example elf_fuzz_seeds -- "$work/seeds"

note "build in $build"
for crate in formats recorder; do
    cargo fetch --quiet --locked --manifest-path "$crate/fuzz/Cargo.toml"
    # The sanitizer is an unstable option, which the stable compiler takes when told that it bootstraps.
    CARGO_TARGET_DIR="$build" RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir "$crate/fuzz" "${options[@]}"
done
programs="$build/$(rustc -vV | sed -n 's/^host: //p')/release"

# --- run -------------------------------------------------------------------------------------------

# Bytes of the largest inputs. Longer ones hold more of the same; an input of round_trip is a description, and most
# of elf are.
max_len() {
    case "$1" in
        reader | block) echo 16384 ;;
        records) echo 8192 ;;
        round_trip) echo 256 ;;
        elf | names) echo 2048 ;;
    esac
}

# Freed memory is kept for a while, to catch who uses it still: 256 MB by default, beside which the decoders' own
# would not show.
export ASAN_OPTIONS="quarantine_size_mb=32:detect_odr_violation=0"

run_target() {
    local name="$1"
    mkdir -p -- "$work/corpus/$name" "$work/findings/$name" "$work/logs"
    exec "$programs/$name" -max_total_time="$seconds" -max_len="$(max_len "$name")" -timeout=10 -malloc_limit_mb=256 \
        -rss_limit_mb=512 -print_final_stats=1 -artifact_prefix="$work/findings/$name/" \
        "$work/corpus/$name" "$work/seeds/$name" >"$work/logs/$name" 2>&1
}

declare -A name_of=() status_of=()
trap 'kill -- "${!name_of[@]}" 2>/dev/null; exit 130' INT TERM

# Waits for one of those that run.
reap() {
    local pid status=0
    wait -n -p pid "${!name_of[@]}" || status=$?
    status_of["${name_of[$pid]}"]="$status"
    unset "name_of[$pid]"
}

for target in "${targets[@]}"; do
    while [ ${#name_of[@]} -ge "$jobs" ]; do
        reap
    done
    note "$target: $seconds seconds"
    run_target "$target" </dev/null &
    name_of[$!]="$target"
done
while [ ${#name_of[@]} -gt 0 ]; do
    reap
done

# --- results ---------------------------------------------------------------------------------------

# last TARGET PATTERN: what the group in the pattern was in the last line that has it.
last() {
    local found
    found="$(sed -n "s/^.*$2.*$/\1/p" "$work/logs/$1" | tail -n 1)"
    printf '%s' "${found:--}"
}

found=0
printf '%-10s %12s %8s %10s %10s %10s %12s\n' target executions exec/s coverage features 'heap MiB' 'process MiB'
for target in "${targets[@]}"; do
    printf '%-10s %12s %8s %10s %10s %10s %12s\n' "$target" \
        "$(last "$target" 'number_of_executed_units: *\([0-9]*\)')" \
        "$(last "$target" 'average_exec_per_sec: *\([0-9]*\)')" \
        "$(last "$target" ' cov: \([0-9]*\)')" "$(last "$target" ' ft: \([0-9]*\)')" \
        "$(last "$target" 'heap: \([0-9]*\) MiB')" "$(last "$target" 'peak_rss_mb: *\([0-9]*\)')"
done
for target in "${targets[@]}"; do
    if [ "${status_of[$target]}" -ne 0 ]; then
        found=1
        artifact="$(last "$target" 'Test unit written to \(.*\)')"
        note "$target: exit status ${status_of[$target]}, see $work/logs/$target"
        note "    the input: $artifact"
        note "    again: ASAN_OPTIONS=$ASAN_OPTIONS $programs/$target -malloc_limit_mb=256 -rss_limit_mb=512 $artifact"
    fi
done
exit "$found"
