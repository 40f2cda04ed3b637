#!/usr/bin/env bash
# Runs the privileged tests on Debian's kernels, in virtual machines. This file builds the tests, starts the
# machines and judges how they ended; vm/kernels.sh has the kernels, vm/debian.sh the system, vm/image.sh the
# disk with both and the programs, vm/init and vm/run_tests what happens in the machine.
set -uo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/vm/kernels.sh
. "$ROOT/scripts/vm/kernels.sh"
# shellcheck source=scripts/vm/debian.sh
. "$ROOT/scripts/vm/debian.sh"
# shellcheck source=scripts/vm/image.sh
. "$ROOT/scripts/vm/image.sh"

usage() {
    cat <<HELP
Usage: scripts/vm.sh [--all] KERNEL [TEST…]
       scripts/vm.sh [--all] all

Boots a kernel of Debian under QEMU, without KVM and without root, and runs the tests marked "needs root" there:
for every backend that pfrec has, each of which must load. Prints what the tests print.

  --all      every such test of the repository; takes an hour and more for each kernel
  KERNEL     $(matrix | cut -d ' ' -f 1 | paste -sd ' ') (7.2 stands for the newest of sid), or 'all'
  TEST       a file of recorder/tests without .rs, or FILE::PART of the names of its tests; 'pf-bpf', 'pfrec' and
             'data_generator' are the tests within those. Without TEST:
             ${each_backend[*]} for each
             backend, and ${once[*]} once

Environment:
  PFREC_VM_BACKENDS   only these backends, such as "fentry perf"
  PFREC_VM_LIMIT      seconds after which a machine is killed, and has failed; default $limit, with --all $limit_of_all
  PFREC_NOT_RUN_FILE  a file to which the checks are added that could not be made there, as NAME@KERNEL: REASON
  XDG_CACHE_HOME      kernels and the system are kept in its pfrec/kernels and pfrec/machine, default ~/.cache;
                      newer ones come when they are removed

The last lines say how it went on each kernel. Exit status: 0 all passed, 1 a test failed or a machine hung,
2 wrong usage, 77 none failed, but a kernel could not be had, or QEMU is not there: nothing is known of it.
HELP
}

# What a kernel or a backend can change the outcome of, and takes no more than minutes.
each_backend=(touches exact_counts awkward_programs losses known_waits cold_device hidden_faults failed_faults queries_own
    queries_shapes)
# What does not record, or goes through the backends itself.
once=(medians pf-bpf pfrec data_generator doctor thread_limit)
limit=1500
limit_of_all=14400
# mke2fs is not in the PATH of all users.
mke2fs="$(PATH="$PATH:/usr/sbin:/sbin" command -v mke2fs)"

everything=false
if [ "${1:-}" = --all ]; then
    everything=true
    shift
fi
case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    '') usage_error "which kernel?" ;;
    all) read -ra kernels < <(matrix | cut -d ' ' -f 1 | paste -sd ' ') ;;
    *)
        matrix | grep -q "^${1//./\\.} " || usage_error "no kernel '$1' in the matrix"
        kernels=("$1")
        ;;
esac
shift
cd -- "$ROOT" || exit 1
if $everything; then
    [ $# -eq 0 ] || usage_error "--all takes no TEST"
    limit="$limit_of_all"
    mapfile -t wanted < <({
        grep -l 'ignore = "needs' recorder/tests/*.rs | sed 's/.*\///; s/\.rs$//'
        printf '%s\n' "${once[@]}"
    } | sort -u)
elif [ $# -gt 0 ]; then
    wanted=("$@")
else
    wanted=("${each_backend[@]}" "${once[@]}")
fi
limit="${PFREC_VM_LIMIT:-$limit}"

refuse_borrowed_home
work="$(mktemp -d)"
machine=
console=
# A script that is ended leaves no machine behind.
cleanup() {
    [ -z "$machine" ] || kill "$machine" "$console" 2>/dev/null
    rm -rf -- "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- what goes into the machine --------------------------------------------------------------------

# Prints for each program of tests its name and its path. Tests within a crate go by the crate's name. The whole
# workspace, as in test.sh, or polars would be built twice.
build_tests() {
    local name targets=()
    for name in pfrec pfanalyze mmap-workload data-generator; do
        [ -x "$CARGO_TARGET_DIR/release/$name" ] ||
            cargo build --release --locked --workspace || return 1
    done
    for name in "${wanted[@]}"; do
        case "${name%%::*}" in
            pf-bpf) targets+=(--lib) ;;
            pfrec) targets+=(--bin pfrec) ;;
            *) targets+=(--test "${name%%::*}") ;;
        esac
    done
    cargo test --release --locked --workspace "${targets[@]}" --no-run --message-format=json >"$work/messages" ||
        return 1
    # The analyzer has tests of the same names.
    jq -r 'select(.reason == "compiler-artifact" and .profile.test and .executable != null)
        | select(.package_id | test("/(recorder|bpf|workload)#"))
        | "\(.target.name | sub("^pf_bpf$"; "pf-bpf")) \(.executable)"' "$work/messages"
}

# is_once NAME
is_once() {
    [[ " ${once[*]} " == *" $1 "* ]]
}

# Writes what vm/run_tests reads: one line for each run.
plan() {
    local root="$1" test name program how filter
    for test in "${wanted[@]}"; do
        name="${test%%::*}"
        filter="${test#"$name"}"
        program="$(sed -n "s/^$name //p" "$work/tests")"
        [ -n "$program" ] || usage_error "no tests '$name' that need root"
        how=each
        if is_once "$name"; then
            how=once
        fi
        echo "$how $name $program ${filter#::}"
        [ -e "$root$program" ] || install_program "$root" "$program" || return 1
    done >"$root/vm/tests"
}

# Those that pfrec names when it is given none of them.
backends() {
    if [ -n "${PFREC_VM_BACKENDS:-}" ]; then
        tr -s ' ' '\n' <<<"$PFREC_VM_BACKENDS"
    else
        "$CARGO_TARGET_DIR/release/pfrec" --backend '?' -o /dev/null -- true 2>&1 |
            sed -n 's/.*possible values: \(.*\)\].*/\1/p' | tr -s ', ' '\n' | grep -vx auto
    fi
}

# prepare SYSTEM: the disk of the machines, and what boots it.
prepare() {
    local name root="$work/root"
    build_tests >"$work/tests" || return 1
    cp -a -- "$1" "$root" && mkdir -p -- "$root"/{vm,dev,proc,sys,run,mnt,root} || return 1
    for name in pfrec pfanalyze mmap-workload data-generator; do
        install_program "$root" "$CARGO_TARGET_DIR/release/$name" || return 1
    done
    cp -L -- "$(command -v busybox)" "$root/usr/bin/busybox" || return 1
    mkdir -p -- "$root$CARGO_TARGET_DIR/tmp" "$root$ROOT/recorder"
    # Sources that tests compile, run or read.
    cp -a -- recorder/tests "$root$ROOT/recorder/" && cp -a -- README.md docs "$root$ROOT/" || return 1
    compile_programs recorder/tests/programs "$root/vm/programs" || return 1
    plan "$root" || return 1
    backends >"$root/vm/backends"
    [ -s "$root/vm/backends" ] || { note "no backend in pfrec --help"; return 1; }
    echo "$CARGO_TARGET_DIR/release/pfrec" >"$root/vm/pfrec"
    echo "$ROOT/recorder" >"$root/vm/package"
    cp -- scripts/vm/run_tests "$root/vm/run_tests"
    make_disk "$work/system" "$(($(du -sm -- "$root" | cut -f 1) + 1024))M" "$root" || return 1
    rm -rf -- "$root"
    make_initramfs "$work/initramfs"
}

# --- the machine -----------------------------------------------------------------------------------

# boot KERNEL IMAGE: runs it to its end. The second serial line has the status: only the end of vm/init
# writes it, so that a panic, a hang or a kernel that does not start cannot look like success.
boot() {
    local kernel="$1" image="$2" start=$SECONDS status said
    local processors=(-smp 2)
    # Without this it panics at its first cmpxchg16b, which QEMU does not emulate well enough for it.
    [ "$kernel" != 6.12 ] || processors=(-cpu 'qemu64,-cx16' -smp 1)
    # One host thread for all CPUs: with one each, a CPU of an emulator whose host was busy waited for another one
    # for ever, in two machines of eight.
    # Sparse. A read of the slow disk waits for its turn: 50 a second. Each machine finds the system as it was made.
    rm -f -- "$work/files"
    add_modules "$work/initramfs" "$(dirname -- "$image")/modules" "$work/initramfs-of-kernel" &&
        make_disk "$work/files" 4G && truncate -s 256M "$work/slow" && : >"$work/status" && : >"$work/console" ||
        return 1
    timeout --kill-after=10 "$limit" qemu-system-x86_64 -accel tcg,thread=single "${processors[@]}" -m 3G \
        -kernel "$image" -initrd "$work/initramfs-of-kernel" -append 'console=ttyS0 quiet panic=-1' \
        -drive "file=$work/system,if=none,id=system,format=raw,cache=unsafe,snapshot=on" \
        -device nvme,drive=system,serial=system \
        -drive "file=$work/files,if=none,id=files,format=raw,cache=unsafe" -device nvme,drive=files,serial=files \
        -drive "file=$work/slow,if=none,id=slow,format=raw,throttling.iops-total=50" \
        -device nvme,drive=slow,serial=slow \
        -nodefaults -display none -no-reboot -serial stdio -serial "file:$work/status" \
        </dev/null >>"$work/console" 2>&1 &
    machine=$!
    tail -n +1 --pid="$machine" -s 0.2 -f -- "$work/console" &
    console=$!
    wait "$machine"
    status=$?
    wait "$console"
    machine=
    said="$(tr -cd '0-9' <"$work/status")"
    if [ -n "${PFREC_NOT_RUN_FILE:-}" ]; then
        tr -d '\r' <"$work/console" | sed -n "s/^vm: not run: \([^:]*\):/\1@$kernel:/p" >>"$PFREC_NOT_RUN_FILE"
    fi
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
        verdict="FAILED: the machine was killed after $limit s"
    elif [ -z "$said" ]; then
        verdict="FAILED: the machine ended before the tests did (exit status $status of QEMU)"
    elif [ "$said" != 0 ]; then
        verdict="FAILED: $(tr -d '\r' <"$work/console" | sed -n 's/^vm: FAILED: //p' | paste -sd ';' | sed 's/;/; /g')"
    elif grep -q '^running 0 tests' "$work/console"; then
        verdict="FAILED: a test file had nothing to run"
    else
        verdict="passed in $((SECONDS - start)) s"
        return 0
    fi
    return 1
}

# say_why_not STATUS WHAT: leaves in `verdict` why there is no machine.
say_why_not() {
    if [ "$1" -eq 77 ]; then
        verdict="NOT RUN: $(cat -- "$work/reason")"
        return 77
    fi
    verdict="FAILED: $2 is not as expected"
    return 1
}

# on KERNEL: tests there. Leaves what is to be said in `verdict`.
on() {
    local image system status
    image="$(kernel_image "$1")" || { say_why_not $? "its package"; return; }
    if ! $prepared; then
        system="$(debian_root)" || { say_why_not $? "the system of the machines"; return; }
        prepare "$system" || fail "the disk of the machines could not be made"
        prepared=true
    fi
    boot "$1" "$image"
    status=$?
    verdict="${image##*/}: $verdict"
    return "$status"
}

can_run_machines() {
    local command
    [ "$(uname -m)" = x86_64 ] || not_here "the machines run programs for x86-64, and this is $(uname -m)" || return
    for command in qemu-system-x86_64 busybox cpio jq strip ldd cc tar; do
        have "$command" || not_here "$command is not installed: scripts/setup_environment.sh --dev does it" || return
    done
    [ -n "$mke2fs" ] || not_here "mke2fs is not installed: scripts/setup_environment.sh --dev does it" || return
    ! ldd "$(command -v busybox)" >/dev/null 2>&1 || not_here "busybox needs libraries here: install busybox-static"
}

if ! can_run_machines; then
    echo "NOT RUN: $(cat -- "$work/reason")"
    exit 77
fi
prepared=false
verdicts=()
failed=false
missed=false
for kernel in "${kernels[@]}"; do
    on "$kernel"
    case $? in
        0) ;;
        77) missed=true ;;
        *) failed=true ;;
    esac
    verdicts+=("kernel $kernel: $verdict")
done
printf '%s\n' '' "${verdicts[@]}"
if $failed; then
    exit 1
elif $missed; then
    exit 77
fi
