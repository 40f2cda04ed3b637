# shellcheck shell=bash
# The kernels of the matrix, and how Debian's packages of them get into the cache; sourced by vm.sh.

# Entry of the matrix, suite of Debian, what the package's name begins with. The newest match is taken.
# From 7.2 on, linux-image is empty and linux-binary has the kernel; sid's newest is the entry's real version.
matrix() {
    cat <<'TABLE'
5.10 bullseye linux-image-5.10.
6.1 bookworm linux-image-6.1.
6.12 trixie linux-image-6.12.
7.2 sid linux-binary-
TABLE
}

# A suite leaves the mirrors for the archive when nobody maintains it any more.
mirrors=(http://deb.debian.org/debian http://archive.debian.org/debian)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# not_here REASON: nothing can be tested here, and nothing failed. In a file: most callers are subshells.
not_here() {
    # shellcheck disable=SC2154  # vm.sh's
    printf '%s\n' "$*" >"$work/reason"
    return 77
}

# apt with lists, cache and sources of its own: any user may call it, and the system's state stays as it is.
# Only the proxies of the system's configuration are kept.
write_apt_configuration() {
    local home="$1" suite="$2" mirror="$3"
    mkdir -p "$home/lists/partial" "$home/cache/archives/partial"
    : >"$home/status"
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$home/sources.list"
    {
        apt-config dump Acquire::http
        apt-config dump Acquire::https
        cat <<CONFIGURATION
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::Check-Valid-Until "false";
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::SourceList "$home/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$home";
Dir::State::Lists "$home/lists";
Dir::State::Status "$home/status";
Dir::Cache "$home/cache";
CONFIGURATION
    } >"$home/apt.conf"
}

# newest_package PREFIX: by the lists that APT_CONFIG names.
newest_package() {
    apt-cache pkgnames "$1" | grep -E '^linux-(image|binary)-[0-9][^-]*(-[0-9]+)?-cloud-amd64$' | sort -V | tail -n 1
}

can_use_apt() {
    local command
    for command in apt-get apt-cache apt-config dpkg-deb; do
        have "$command" || not_here "$command is not installed: Debian's packages come through it" || return
    done
    [ -r "$keyring" ] || not_here "$keyring is missing: install debian-archive-keyring"
}

# Modules that the tests need; they need no others.
modules=(overlay)

# keep_modules ROOT FOLDER: from an unpacked package, unpacked. What is missing there some tests will miss.
keep_modules() {
    local name file
    for name in "${modules[@]}"; do
        file="$(find "$1" -name "$name.ko*" -type f | head -n 1)"
        case "$file" in
            *.ko) cp -- "$file" "$2/$name.ko" ;;
            *.xz) busybox xzcat "$file" >"$2/$name.ko" ;;
            *) note "the package of the kernel has no $name.ko" ;;
        esac
    done
}

# download KERNEL FOLDER: puts the kernel of the newest package into FOLDER, under the package's name.
download() {
    local kernel="$1" folder="$2" apt="$work/apt" suite prefix mirror package deb
    read -r suite prefix < <(matrix | sed -n "s/^$kernel //p")
    can_use_apt || return
    export APT_CONFIG="$apt/apt.conf"
    for mirror in "${mirrors[@]}"; do
        rm -rf -- "$apt"
        write_apt_configuration "$apt" "$suite" "$mirror"
        note "kernel $kernel: looking for it in Debian $suite at $mirror"
        # apt-get update calls a suite that it could not get a warning, unless asked.
        timeout 300 apt-get -q -o APT::Update::Error-Mode=any update >"$work/log" 2>&1 || continue
        package="$(newest_package "$prefix")"
        [ -n "$package" ] || continue
        note "kernel $kernel: downloading $package"
        (cd -- "$apt" && timeout 600 apt-get -q download "$package") >>"$work/log" 2>&1 || continue
        # From 7.2 on, the modules are a package of their own.
        (cd -- "$apt" && timeout 600 apt-get -q download "linux-modules-${package#linux-*-}") >>"$work/log" 2>&1
        for deb in "$apt"/linux-*.deb; do
            dpkg-deb -x "$deb" "$apt/root" || continue 2
        done
        # Whole or not there: an interrupted copy must not be taken for a kernel.
        mkdir -p -- "$folder/modules" &&
            keep_modules "$apt/root" "$folder/modules" &&
            find "$apt/root" -name 'vmlinuz*' -type f -exec cp -- '{}' "$folder/.$package.$$" ';' &&
            mv -- "$folder/.$package.$$" "$folder/$package"
        return
    done
    not_here "Debian's package of it ($suite, $prefix*) cannot be downloaded:" \
        "$(grep -m 1 '^E: ' "$work/log" || tail -n 1 "$work/log")"
}

# kernel_image KERNEL: prints where it is, downloaded if need be. 77 if it cannot be had; without its modules most
# tests run, and the others say what they miss.
kernel_image() {
    local folder="${XDG_CACHE_HOME:-$HOME/.cache}/pfrec/kernels/$1" status=0
    if ! compgen -G "$folder/linux-*" >/dev/null || ! compgen -G "$folder/modules/*.ko" >/dev/null; then
        (download "$1" "$folder") || status=$?
        compgen -G "$folder/linux-*" >/dev/null || return "$status"
    fi
    compgen -G "$folder/linux-*" | sort -V | tail -n 1
}
