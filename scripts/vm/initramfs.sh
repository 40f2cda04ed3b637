# shellcheck shell=bash
# The file system that a VM starts from; sourced by vm.sh. Programs are where they are on this machine: the
# tests have the paths of pfrec and of the folder for their files compiled in.

# install_program ROOT FILE: with the libraries it is linked to.
install_program() {
    local root="$1" file="$2" library
    mkdir -p -- "$root$(dirname -- "$file")"
    # Line tables are worth 20 MB of the VM's memory; --strip-debug leaves names for backtraces.
    strip --strip-debug -o "$root$file" -- "$file" || return 1
    while read -r library; do
        [ ! -e "$root$library" ] || continue
        mkdir -p -- "$root$(dirname -- "$library")"
        cp -L -- "$library" "$root$library" || return 1
    done < <(ldd "$file" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p')
}

# compile_programs SOURCES FOLDER: there is no compiler in the VM.
compile_programs() {
    local source name
    mkdir -p -- "$2"
    for source in "$1"/*.c; do
        name="$(basename -- "$source" .c)"
        cc -O1 -fno-omit-frame-pointer -pthread -o "$2/$name" "$source" || return 1
    done
}

# make_root ROOT: folders, users, busybox. `nobody` as the tests know it.
make_root() {
    local root="$1" name
    mkdir -p -- "$root"/{bin,dev,etc,mnt,proc,root,run,sys,tmp,usr/bin,usr/sbin,sbin,var/tmp,vm}
    chmod 1777 "$root/tmp" "$root/var/tmp"
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/false' >"$root/etc/passwd"
    printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$root/etc/group"
    cp -L -- "$(command -v busybox)" "$root/bin/busybox" || return 1
    for name in $("$root/bin/busybox" --list); do
        [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
    done
    # What calls a shell by the name bash wants this one, not busybox's.
    rm -f -- "$root/bin/bash"
    install_program "$root" "$(command -v bash)" || return 1
    [ -e "$root/bin/bash" ] || ln -s "$(command -v bash)" "$root/bin/bash"
}

# pack ROOT FILE
pack() {
    (cd -- "$1" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 >"$2"
}
