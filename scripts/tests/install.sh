#!/usr/bin/env bash
# Tests install.sh with programs that only write manuals: what it installs, replaces and removes.
set -uo pipefail
ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)"
scratch="$(mktemp -d)"
trap 'rm -rf -- "$scratch"' EXIT
prefix="$scratch/a prefix"
good=0
bad=0

mkdir -p -- "$scratch/target/release"
for program in pfrec pfanalyze mmap-workload data-generator; do
    cat >"$scratch/target/release/$program" <<'PROGRAM'
#!/bin/sh
name="${0##*/}"
[ "$1" = --manuals ] || exit 9
mkdir -p "$2/share/man/man1" "$2/share/fish/vendor_completions.d"
echo page >"$2/share/man/man1/$name.1"
echo script >"$2/share/fish/vendor_completions.d/$name.fish"
PROGRAM
    chmod +x -- "$scratch/target/release/$program"
done

run() {
    CARGO_TARGET_DIR="$scratch/target" "$ROOT/scripts/install.sh" "$@" >"$scratch/said" 2>&1
}

# expect WHAT STATUS PATTERN ARGUMENT…: install.sh ends with STATUS and says PATTERN.
expect() {
    local what="$1" expected="$2" pattern="$3" status
    shift 3
    run "$@"
    status=$?
    if [ "$status" -eq "$expected" ] && grep -qE -- "$pattern" "$scratch/said"; then
        good=$((good + 1))
    else
        echo "test install::$what: exit status $status, expected $expected and '$pattern'; it said"
        sed 's/^/    /' "$scratch/said"
        bad=$((bad + 1))
    fi
}

# holds WHAT COMMAND…: the command succeeds.
holds() {
    local what="$1"
    shift
    if "$@"; then
        good=$((good + 1))
    else
        echo "test install::$what: not so; below the prefix there is"
        find "$scratch" -path "$scratch/target" -prune -o -print
        bad=$((bad + 1))
    fi
}

has_all() {
    [ -x "$prefix/bin/pfrec" ] && [ -x "$prefix/bin/data-generator" ] && [ -f "$prefix/share/man/man1/pfanalyze.1" ] &&
        [ "$(stat -c %a -- "$prefix/share/fish/vendor_completions.d/pfrec.fish")" = 644 ] &&
        [ "$(wc -l <"$prefix/share/pfrec/installed")" -eq 12 ]
}

expect programs_and_manuals_are_installed 0 '^installed 12 files' --prefix "$prefix" --no-build
holds every_file_is_in_its_place has_all
expect where_it_is_not_in_the_path_this_is_said 0 'not in PATH' --no-build --prefix="$prefix"

# What an earlier version had and this one has not.
echo old >"$prefix/bin/old"
echo bin/old >>"$prefix/share/pfrec/installed"
echo mine >"$prefix/bin/mine"
expect an_earlier_installation_is_replaced 0 '^installed 12 files' --prefix "$prefix" --no-build
holds what_it_had_is_gone [ ! -e "$prefix/bin/old" ]
holds the_files_of_others_stay [ -f "$prefix/bin/mine" ]

expect all_of_it_is_removed 0 '^removed' --uninstall --prefix "$prefix"
holds only_the_files_of_others_are_left [ "$(find "$prefix" -type f)" = "$prefix/bin/mine" ]
holds empty_directories_are_gone [ ! -e "$prefix/share" ]
expect what_is_not_installed_is_not_removed 1 'nothing was installed' --uninstall --prefix "$prefix"

mkdir -p -- "$prefix/share/pfrec"
echo precious >"$scratch/precious"
echo ../precious >"$prefix/share/pfrec/installed"
expect a_list_that_leads_out_of_the_prefix_is_refused 1 'nothing was removed' --uninstall --prefix "$prefix"
holds nothing_outside_is_removed [ -f "$scratch/precious" ]
expect wrong_usage_is_an_error 2 'unknown argument' --frob
rm -- "$scratch/target/release/pfanalyze"
expect a_program_that_is_not_built_is_an_error 1 'pfanalyze is missing' --prefix "$scratch/other" --no-build
holds then_nothing_is_installed [ ! -e "$scratch/other" ]

[ "$bad" -eq 0 ] && verdict=ok || verdict=FAILED
echo "test result: $verdict. $good passed; $bad failed;"
[ "$bad" -eq 0 ]
