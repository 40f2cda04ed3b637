# shellcheck shell=bash
# shellcheck disable=SC2154  # variables of vm.sh and kernels.sh
# The Debian system of the machines: packages of the host's release, unpacked without root and without their
# scripts, kept in the cache; sourced by vm.sh. A host that is no Debian takes the newest stable release: its
# programs run there as long as their C library is no newer.

# What the tests call, with what that needs; the shell and the tools of the first process come first.
debian_packages=(base-files dash bash coreutils util-linux mount procps mawk grep sed findutils debianutils tar gzip
    hostname login binutils gcc libc6-dev sqlite3 postgresql python3-lmdb)

debian_suite() {
    # shellcheck disable=SC1091
    (. /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_CODENAME:?}") 2>/dev/null || echo trixie
}

# unpack_debian ARCHIVES ROOT: as dpkg would lay them, but for scripts and owners.
unpack_debian() {
    local archives="$1" root="$2" name package
    mkdir -p -- "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
    for name in bin sbin lib lib64; do
        ln -s "usr/$name" "$root/$name"
    done
    for package in "$archives"/*.deb; do
        # Documentation is a third of it.
        dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner -C "$root" \
            --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' || return 1
    done
    # What update-alternatives would have made.
    for name in cc:gcc awk:mawk sh:dash; do
        [ -e "$root/usr/bin/${name%:*}" ] || ln -s "${name#*:}" "$root/usr/bin/${name%:*}"
    done
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/false' >"$root/etc/passwd"
    printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$root/etc/group"
    chmod 1777 "$root/tmp" "$root/var/tmp"
}

# debian_root: prints the folder with the system, made if need be. 77 if it cannot be had. A subshell: what it locks
# is free again when it ends.
debian_root() (
    local suite folder apt="$work/apt-root" mirror lock
    suite="$(debian_suite)"
    folder="${XDG_CACHE_HOME:-$HOME/.cache}/pfrec/machine/$suite-$(printf '%s ' "${debian_packages[@]}" | cksum | cut -d ' ' -f 1)"
    mkdir -p -- "${folder%/*}"
    exec {lock}>"$folder.lock"
    flock "$lock"
    if [ -d "$folder" ]; then
        echo "$folder"
        return
    fi
    can_use_apt || return
    export APT_CONFIG="$apt/apt.conf"
    for mirror in "${mirrors[@]}"; do
        rm -rf -- "$apt"
        write_apt_configuration "$apt" "$suite" "$mirror"
        note "system of the machines: Debian $suite from $mirror"
        timeout 300 apt-get -q -o APT::Update::Error-Mode=any update >"$work/log" 2>&1 || continue
        timeout 900 apt-get -q -y --download-only --no-install-recommends install "${debian_packages[@]}" \
            >>"$work/log" 2>&1 || continue
        # Whole or not there.
        rm -rf -- "$folder.part" && mkdir -p -- "$folder.part" &&
            unpack_debian "$apt/cache/archives" "$folder.part" && mv -- "$folder.part" "$folder" || return 1
        echo "$folder"
        return
    done
    not_here "the system of the machines (Debian $suite) cannot be downloaded:" \
        "$(grep -m 1 '^E: ' "$work/log" || tail -n 1 "$work/log")"
)
