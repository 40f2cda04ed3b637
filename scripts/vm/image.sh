# shellcheck shell=bash
# shellcheck disable=SC2154  # variables of vm.sh and kernels.sh
# The disk that a machine runs from, and what boots it; sourced by vm.sh. Programs are where they are on the
# host: the tests have the paths of pfrec and of the folder for their files compiled in.

# install_program ROOT FILE: with the libraries it is linked to and the system does not have.
install_program() {
    local root="$1" file="$2" library
    mkdir -p -- "$root$(dirname -- "$file")"
    # Line tables are most of it; --strip-debug leaves names for backtraces, and for the stacks of the tests.
    strip --strip-debug -o "$root$file" -- "$file" || return 1
    while read -r library; do
        [ ! -e "$root$library" ] || continue
        mkdir -p -- "$root$(dirname -- "$library")"
        cp -L -- "$library" "$root$library" || return 1
    done < <(ldd "$file" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p')
}

# compile_programs SOURCES FOLDER: an emulated compiler takes seconds for each.
compile_programs() {
    local source name
    mkdir -p -- "$2"
    for source in "$1"/*.c; do
        name="$(basename -- "$source" .c)"
        cc -O1 -fno-omit-frame-pointer -pthread -o "$2/$name" "$source" || return 1
    done
}

# make_disk FILE SIZE [ROOT]: ext4 with what is in ROOT, all of it root's. Named features, so that a new mke2fs
# makes nothing that an old kernel does not know.
make_disk() {
    local as_owner=()
    is_root || as_owner=(unshare --map-root-user)
    truncate -s "$2" "$1" &&
        "${as_owner[@]}" "$mke2fs" -q -F -t ext4 -m 0 \
            -O none,has_journal,extent,filetype,sparse_super,large_file,dir_index,ext_attr \
            ${3:+-d "$3"} "$1"
}

# add_modules INITRAMFS MODULES FILE: INITRAMFS with the modules of a kernel in it.
add_modules() {
    mkdir -p -- "$2" && (cd -- "$2/.." && find modules | cpio --quiet -o -H newc -R 0:0) | gzip -1 | cat -- "$1" - >"$3"
}

# make_initramfs FILE: busybox and its first process.
make_initramfs() {
    local root="$work/initramfs-root" name
    mkdir -p -- "$root"/{bin,dev,proc,sys,mnt}
    cp -L -- "$(command -v busybox)" "$root/bin/busybox" || return 1
    for name in sh mount ls tr cat basename dirname sleep switch_root poweroff echo insmod; do
        ln -s busybox "$root/bin/$name"
    done
    cp -- scripts/vm/init "$root/init" &&
        (cd -- "$root" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 >"$1"
}
