#!/usr/bin/env bash
# Installs the programs with their man pages and shell completions, and removes what it installed.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
Usage: scripts/install.sh [--prefix DIR] [--no-build]
       scripts/install.sh --uninstall [--prefix DIR]

Builds pfrec, pfanalyze, mmap-workload and data-generator in release mode and installs them with their man pages and
their completions for bash, zsh and fish:

  DIR/bin/*                                     the programs
  DIR/share/man/man1/*.1                        man pages
  DIR/share/bash-completion/completions/*       completions
  DIR/share/zsh/site-functions/_*
  DIR/share/fish/vendor_completions.d/*.fish
  DIR/share/pfrec/installed                     the list of these files

Options:
  --prefix DIR   where to install (default: /usr/local)
  --no-build     install what was built before in $CARGO_TARGET_DIR (default ~/.cache/pfrec/target)
  --uninstall    remove every file in the list, and the directories that are empty then
  -h, --help     show this help

Start it without sudo: it calls sudo by itself where the current user may not write to DIR. An earlier installation in DIR
is replaced.

Exit status: 0 done, 1 something failed, 2 wrong usage.
HELP
}

PROGRAMS=(pfrec pfanalyze mmap-workload data-generator)
LIST=share/pfrec/installed

prefix=/usr/local
build=yes
uninstall=no
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) usage; exit 0 ;;
        --prefix) [ -n "${2:-}" ] || usage_error "--prefix: give a directory"; prefix="$2"; shift ;;
        --prefix=?*) prefix="${1#--prefix=}" ;;
        --no-build) build=no ;;
        --uninstall) uninstall=yes ;;
        *) usage_error "unknown argument: $1" ;;
    esac
    shift
done
case "$prefix" in
    /*) ;;
    *) prefix="$PWD/$prefix" ;;
esac

# Prints the words that go before a command that writes to the prefix.
writer() {
    local place="$prefix"
    while [ ! -e "$place" ]; do
        place="$(dirname -- "$place")"
    done
    if [ -w "$place" ] && { [ ! -e "$prefix/bin" ] || [ -w "$prefix/bin" ]; }; then
        return 0
    fi
    root_prefix || fail "$prefix: this user may not write there: give another --prefix, or install sudo"
}

# put COMMAND…: runs a command that changes something below the prefix.
put() {
    # shellcheck disable=SC2086  # no word, one word or two
    $as_writer "$@"
}

# Prints the files of an installation, one path below the prefix on each line.
installed() {
    local path
    while IFS= read -r path; do
        case "$path" in
            '' | /* | ../* | */../* | */..) fail "$prefix/$LIST names '$path', which no installation has: nothing was removed" ;;
        esac
        printf '%s\n' "$path"
    done <"$prefix/$LIST"
}

# Removes an installation, and the directories that are empty then.
remove_installed() {
    local paths folders path
    paths="$(installed)"
    while IFS= read -r path; do
        put rm -f -- "$prefix/$path"
    done <<<"$paths"
    put rm -f -- "$prefix/$LIST"
    folders="$(
        while IFS= read -r path; do
            while path="$(dirname -- "$path")" && [ "$path" != . ]; do
                printf '%s\n' "$path"
            done
        done <<<"$paths"$'\n'"$LIST" | sort -ru
    )"
    while IFS= read -r path; do
        # Others may have files there.
        put rmdir -- "$prefix/$path" 2>/dev/null || true
    done <<<"$folders"
}

as_writer="$(writer)"
if [ "$uninstall" = yes ]; then
    [ "$build" = yes ] || usage_error "--uninstall builds nothing: leave out --no-build"
    [ -f "$prefix/$LIST" ] || fail "nothing was installed in $prefix: $prefix/$LIST is missing"
    remove_installed
    note "removed what was installed in $prefix"
    exit 0
fi

if [ "$build" = yes ]; then
    refuse_borrowed_home
    (cd -- "$ROOT" && cargo build --release --locked --workspace)
fi
staging="$(mktemp -d)"
trap 'rm -rf -- "$staging"' EXIT
mkdir -p -- "$staging/bin"
for program in "${PROGRAMS[@]}"; do
    binary="$CARGO_TARGET_DIR/release/$program"
    [ -x "$binary" ] || fail "$binary is missing: leave out --no-build"
    "$binary" --manuals "$staging" >/dev/null || fail "$program could not write its manuals"
    install -m 755 -- "$binary" "$staging/bin/$program"
done
files="$(cd -- "$staging" && find . -type f | sed 's,^\./,,' | LC_ALL=C sort)"
mkdir -p -- "$staging/$(dirname -- "$LIST")"
printf '%s\n' "$files" >"$staging/$LIST"

if [ -f "$prefix/$LIST" ]; then
    remove_installed
fi
while IFS= read -r path; do
    case "$path" in
        bin/*) mode=755 ;;
        *) mode=644 ;;
    esac
    put install -D -m "$mode" -- "$staging/$path" "$prefix/$path"
done <<<"$files"$'\n'"$LIST"
note "installed $(wc -l <<<"$files") files in $prefix; scripts/install.sh --uninstall --prefix $prefix removes them"
case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *) note "$prefix/bin is not in PATH: add it, and man finds the pages, too" ;;
esac
