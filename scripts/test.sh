#!/usr/bin/env bash
# Every check of this repository, cheap ones first. All run, whatever fails; what failed is listed at the end.
# shellcheck disable=SC2317  # the checks are functions that `step` calls by name
set -uo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/steps.sh
. "$ROOT/scripts/steps.sh"

usage() {
    cat <<'HELP'
Usage: scripts/test.sh

Sets up the environment (with --dev) and runs every check and test of the repository, in one cargo profile.
Numbers are recomputed by DuckDB, which the environment has where PyPI can be reached.
Tests that load BPF programs run as root, through sudo if need be, and once more on other kernels, in virtual
machines (scripts/vm.sh). Where the kernel does not allow that, another kernel cannot be had, or DuckDB is missing, they
are listed as NOT RUN, and so is each check within a test that could not be made. What is NOT RUN is a failure, but for

  PFREC_ALLOW_NOT_RUN="NAME…"   these, by the names under which they are listed
  PFREC_ALLOW_SKIP=1            all
  backend/…                     what wants a backend that this kernel has not, if both virtual machines passed: they
                                have all of them

The last line of standard output is `N passed, N failed`: the sums over all tests; a check that fails and is
not a test counts as one failed.

Exit status: 0 everything passed, 1 something failed or was not run, 2 wrong usage.
HELP
}

case "${1:-}" in
    '') ;;
    -h | --help) usage; exit 0 ;;
    *) usage_error "unknown argument '$1'" ;;
esac

cd -- "$ROOT" || exit 1
refuse_borrowed_home
# The lists below are compared and sorted.
export LC_ALL=C
work="$(mktemp -d)"
# Shared by root and the user: sudo passes it on.
export PFREC_NOT_RUN_FILE="$work/not-run"
# What runs beside the rest ends with it.
cleanup() {
    local pid
    for pid in "$work"/beside-*.pid; do
        [ ! -e "$pid" ] || pkill -P "$(cat -- "$pid")"
    done
    wait
    rm -rf -- "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A hanging test must not eat the night. In the background, sudo could not ask for a password.
limited() {
    if has_terminal; then
        timeout --foreground --kill-after=10 "$@"
    else
        timeout --kill-after=10 "$@"
    fi
}

# Tracked files; all files but the build where there is no git (an unpacked release).
tracked() {
    if [ -e "$ROOT/.git" ] && have git; then
        git -c safe.directory="$ROOT" ls-files -z -- "$@"
    else
        local name args=()
        for name in "$@"; do
            args+=(-o -name "$name")
        done
        find . -path ./target -prune -o -path ./.git -prune -o -type f \( "${args[@]:1}" \) -print0
    fi
}

# --- the checks ------------------------------------------------------------------------------------

rust_format() {
    local bad=0
    cargo fmt --all --check || bad=1
    # Workspaces of their own; what they do runs in the tests of the format and of the recorder, without libFuzzer.
    cargo fmt --manifest-path formats/fuzz/Cargo.toml --check || bad=1
    cargo fmt --manifest-path recorder/fuzz/Cargo.toml --check || bad=1
    return "$bad"
}

clang_format() {
    clang-format --version
    tracked '*.c' '*.h' | xargs -0 --no-run-if-empty clang-format --dry-run --Werror
}

shell_scripts() {
    shellcheck -x scripts/*.sh scripts/tests/*.sh scripts/vm/* .ci/run
}

file_sizes() {
    local file lines bytes bad=0
    while IFS= read -r -d '' file; do
        lines="$(wc -l <"$file")"
        if [ "$lines" -gt 600 ]; then
            echo "$file: $lines lines, 600 are allowed"
            bad=1
        fi
    done < <(tracked '*.rs' '*.c' '*.h' '*.sh')
    while IFS= read -r -d '' file; do
        bytes="$(stat -c %s -- "$file")"
        if [ "$bytes" -gt $((2 << 20)) ]; then
            echo "$file: $bytes bytes, 2 MB are allowed"
            bad=1
        fi
        case "$file" in
            *.skel.rs | */vmlinux.h | *.o | *.rlib | target/* | *.partial)
                echo "$file: is generated, and belongs into OUT_DIR or nowhere"
                bad=1
                ;;
        esac
    done < <(tracked '*')
    return "$bad"
}

# lacks PACKAGE CRATE…: none of the crates is in PACKAGE's tree, build and test dependencies included.
lacks() {
    local package="$1" crate tree bad=0
    shift
    tree="$(cargo tree --locked -p "$package" -e normal,build,dev --prefix none -f '{p}')" || return 1
    grep -q "^$package v" <<<"$tree" || { echo "cargo tree says nothing of $package"; return 1; }
    for crate in "$@"; do
        if grep -E "^$crate v" <<<"$tree"; then
            echo "$package must not depend on $crate"
            bad=1
        fi
    done
    return "$bad"
}

# Reading a trace needs no clang, no libelf and no C headers of the kernel: nothing that wants them is there.
dependency_trees() {
    local bad=0
    lacks pfanalyze libbpf-sys libbpf-rs libbpf-cargo pf-bpf libelf elf || bad=1
    lacks pf-formats libbpf-sys libbpf-rs libbpf-cargo pf-bpf libelf elf polars-core || bad=1
    lacks pf-workload libbpf-sys libbpf-rs libbpf-cargo pf-bpf libelf elf polars-core || bad=1
    lacks pfrec polars-core || bad=1
    return "$bad"
}

# What Cargo.toml promises is what setup_environment.sh installs: it must be enough for the dependencies.
rust_version() {
    local promised newest
    promised="$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml | head -n 1)"
    cargo tree --locked --workspace -e normal,build --prefix none -f '{p}' |
        sed 's/^\([^ ]*\) v\([^ ]*\).*/\1 \2/' | sort -u >"$work/used" || return 1
    cargo metadata --locked --format-version 1 |
        jq -r '.packages[] | select(.rust_version) | "\(.name) \(.version) \(.rust_version)"' |
        sort -u >"$work/wanted" || return 1
    newest="$(awk 'NR == FNR { used[$1 " " $2]; next } ($1 " " $2) in used { print $3, $1, $2 }' \
        "$work/used" "$work/wanted" | sort -V | tail -n 1)"
    echo "Cargo.toml promises $promised; the most is asked by: ${newest#* } (${newest%% *})"
    [ "$(printf '%s\n%s\n' "${newest%% *}" "$promised" | sort -V | tail -n 1)" = "$promised" ]
}

# Their database comes from GitHub, which is not reached from everywhere.
advisories() {
    cargo_deny_check advisories >"$work/advisories" 2>&1
    local status=$?
    cat -- "$work/advisories"
    if [ "$status" -ne 0 ] && grep -q 'failed to fetch advisory database' "$work/advisories"; then
        echo "the database of advisories cannot be had here"
        return 77
    fi
    return "$status"
}

# The frame of this script itself, where what is not run is a failure, what is installed, and the verdicts of the benches.
steps_test() {
    scripts/tests/steps.sh && scripts/tests/requirements.sh && scripts/tests/install.sh && python3 -B scripts/tests/bench.py
}

documentation() {
    RUSTDOCFLAGS=-Dwarnings cargo doc --release --locked --no-deps --workspace
}

# Says what pfrec can do here, and as its last line why it cannot record.
can_record() {
    local doctor="$work/doctor"
    if ! root_prefix >/dev/null; then
        echo "neither root nor sudo here"
    elif ! as_root true; then
        echo "sudo does not let $(id -un) become root here"
    elif ! as_root "$CARGO_TARGET_DIR/release/pfrec" doctor >"$doctor" 2>&1; then
        cat -- "$doctor"
        echo "pfrec doctor, as root, says that this machine cannot record (see above)"
    else
        cat -- "$doctor"
        return 0
    fi
    return 1
}

# The tests marked #[ignore = "…root…"], as root. The build is the same one: only the runner differs.
privileged_tests() {
    local prefix triple
    if ! can_record; then
        return 77
    fi
    prefix="$(root_prefix)"
    if [ -n "$prefix" ]; then
        triple="$(rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)"
        # -E: the tests see the environment they were given; whom they belong to, sudo says in SUDO_UID.
        export "CARGO_TARGET_${triple}_RUNNER=$prefix -E"
    fi
    # All packages, so that none is forgotten and nothing is built anew; no doc tests, where `ignore` means
    # "cannot run". One at a time: they load probes for the whole machine.
    limited 1200 cargo test --release --locked --workspace --no-fail-fast --lib --bins --tests \
        -- --ignored --test-threads=1 | tee "$work/privileged" || return 1
    if ! grep -q '^test result: ok\. [1-9]' "$work/privileged"; then
        echo "no privileged test was run: their marks must have changed"
        return 1
    fi
}

# The numbers of pfanalyze once more, by another engine, as the user whose Python it is.
duckdb_tests() {
    local log
    if ! log="$(has_modules "$TEST_VENV" duckdb 2>&1)"; then
        echo "no DuckDB for Python in $TEST_VENV: ${log##*$'\n'}"
        return 77
    fi
    PFREC_TEST_PYTHON="$TEST_VENV/bin/python" limited 1200 cargo test --release --locked --workspace --test oracle --test generated_sql \
        -- --ignored --nocapture duckdb | tee "$work/duckdb" || return 1
    if ! grep -q '^test result: ok\. [1-9]' "$work/duckdb"; then
        echo "no test with DuckDB was run: its name must have changed"
        return 1
    fi
}

# The oldest and the newest kernel of those that users have most; `scripts/vm.sh --all all` has more of both. What
# depends on the kernel, for each backend, and whatever tells here that it wants another backend (`backend/…`).
other_kernel() {
    limited 1800 scripts/vm.sh "$1" doctor medians thread_limit pf-bpf touches known_waits cold_device hidden_faults \
        failed_faults awkward_programs filters breakdown::waiting_for_the_lock queries_own queries_shapes
}

# beside NAME COMMAND…: begins it beside what comes; `end_of NAME` shows what it says, and ends as it does.
beside() {
    local log="$work/beside-$1"
    shift
    : >"$log"
    { "$@" </dev/null >"$log" 2>&1; echo $? >"$log.status"; } &
    echo $! >"$log.pid"
}

end_of() {
    local log="$work/beside-$1"
    tail -n +1 -s 1 -f --pid="$(cat -- "$log.pid")" -- "$log"
    return "$(cat -- "$log.status")"
}

demo() {
    can_record || return 77
    limited 600 scripts/run_demo.sh --size 8 --output "$work/demo.pfz"
}

# --- all of it -------------------------------------------------------------------------------------

step "environment" scripts/setup_environment.sh --dev
step "steps" steps_test
step "rustfmt" rust_format
step "clang-format" clang_format
step "shellcheck" shell_scripts
step "file sizes" file_sizes
step "dependency trees" dependency_trees
step "rust-version" rust_version
step "cargo deny" cargo_deny_check licenses bans sources
step "advisories" advisories
step "build" cargo build --release --locked --workspace
step "clippy" cargo clippy --release --locked --workspace --all-targets -- -D warnings
step "documentation" documentation
step "tests" limited 3600 cargo test --release --locked --workspace --no-fail-fast
step "privileged tests" privileged_tests
step "demo" demo
step "numbers by DuckDB" duckdb_tests
# What wants another backend than this kernel has is made there.
# A machine takes one CPU, and whoever tests has two.
beside 7.2 other_kernel 7.2
step "Linux 6.1" other_kernel 6.1
step "Linux 7.2" end_of 7.2
if [ "$(outcome "Linux 6.1") $(outcome "Linux 7.2")" = "ok ok" ]; then
    made_elsewhere="backend/"
fi

summary
