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

# download KERNEL FOLDER: the newest package, unpacked to FOLDER/root.
download() {
    local kernel="$1" folder="$2" suite prefix mirror package
    read -r suite prefix < <(matrix | sed -n "s/^$kernel //p")
    for command in apt-get apt-cache apt-config dpkg-deb; do
        have "$command" || { not_here "$command is not installed: Debian's kernels come through it"; return; }
    done
    [ -r "$keyring" ] || { not_here "$keyring is missing: install debian-archive-keyring"; return; }
    for mirror in "${mirrors[@]}"; do
        rm -rf -- "$folder"
        write_apt_configuration "$folder/apt" "$suite" "$mirror"
        export APT_CONFIG="$folder/apt/apt.conf"
        note "kernel $kernel: looking for it in Debian $suite at $mirror"
        # apt-get update calls a suite that it could not get a warning, unless asked.
        timeout 300 apt-get -q -o APT::Update::Error-Mode=any update >"$folder/log" 2>&1 || continue
        package="$(newest_package "$prefix")"
        [ -n "$package" ] || continue
        note "kernel $kernel: downloading $package"
        (cd -- "$folder" && timeout 600 apt-get -q download "$package") >>"$folder/log" 2>&1 || continue
        dpkg-deb -x "$folder/$package"_*.deb "$folder/root" || continue
        rm -rf -- "$folder/apt" "$folder/$package"_*.deb
        unset APT_CONFIG
        return 0
    done
    unset APT_CONFIG
    not_here "Debian's package of it ($suite, $prefix*) cannot be downloaded: $(tail -n 1 "$folder/log")"
}

# kernel_image KERNEL: prints where its vmlinuz is, downloaded if need be. 77 if it cannot be had.
kernel_image() {
    local kernel="$1" cache="${XDG_CACHE_HOME:-$HOME/.cache}/pfrec/kernels" image
    image="$(find "$cache/$kernel/root" -name 'vmlinuz*' -type f 2>/dev/null | head -n 1)"
    if [ -z "$image" ]; then
        # Complete or not there: a download that was interrupted must not be taken for a kernel.
        download "$kernel" "$cache/$kernel.new" || return
        rm -rf -- "${cache:?}/$kernel"
        mv -- "$cache/$kernel.new" "$cache/$kernel" || return 1
        image="$(find "$cache/$kernel/root" -name 'vmlinuz*' -type f | head -n 1)"
        [ -n "$image" ] || { not_here "no vmlinuz in Debian's package of $kernel"; return; }
    fi
    printf '%s\n' "$image"
}
