#!/usr/bin/env bash
# Man pages and shell completions of all programs, for packagers.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
Usage: scripts/manuals.sh PREFIX

Writes the man pages and the completions for bash, zsh and fish of pfrec, pfanalyze, mmap-workload and
data-generator under PREFIX, laid out as under /usr:

  PREFIX/share/man/man1/*.1
  PREFIX/share/bash-completion/completions/*
  PREFIX/share/zsh/site-functions/_*
  PREFIX/share/fish/vendor_completions.d/*.fish

They are made by the release binaries in $CARGO_TARGET_DIR (default ~/.cache/pfrec/target), each of which does it
alone with `PROGRAM --manuals PREFIX`. Lists what was written on standard output.

Exit status: 0 written, 1 a program is missing or failed, 2 wrong usage.
HELP
}

case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    '' | -*) usage_error "give the folder to write to" ;;
esac
[ $# -eq 1 ] || usage_error "one folder, and nothing else"

for program in pfrec pfanalyze mmap-workload data-generator; do
    binary="$CARGO_TARGET_DIR/release/$program"
    [ -x "$binary" ] || fail "$binary is missing: run 'cargo build --release --workspace' first"
    "$binary" --manuals "$1" || fail "$program could not write its manuals"
done
