// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * The probes. What they rest on is told in ARCHITECTURE.md; which of them are loaded and attached
 * is decided by the backends in ../backend.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <linux/bpf_perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "pf_kernel.h"
#include "pf_wire.h"
#include "pf_state.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Types that only the recorder needs still have to reach its skeleton. */
const struct pf_fault *pf_unused_fault __attribute__((unused));
const struct pf_exit *pf_unused_exit __attribute__((unused));
const enum pf_kind *pf_unused_kind __attribute__((unused));
const enum pf_access *pf_unused_access __attribute__((unused));
const enum pf_origin *pf_unused_origin __attribute__((unused));
const enum pf_target *pf_unused_target __attribute__((unused));

#define PF_PAGE_MASK (~4095ULL)

/* x86: bit 1 write, bit 4 instruction fetch (arch/x86/include/asm/trap_pf.h). */
static __always_inline __u8 pf_access_of(unsigned long error_code) {
#if defined(__TARGET_ARCH_x86)
    if (error_code & 16)
        return PF_ACCESS_EXEC;
    return error_code & 2 ? PF_ACCESS_WRITE : PF_ACCESS_READ;
#else
    return PF_ACCESS_UNKNOWN;
#endif
}

static __always_inline __u8 pf_origin_of(struct bpf_perf_event_data *ctx) {
#if defined(__TARGET_ARCH_x86)
    return (ctx->regs.cs & 3) == 3 ? PF_ORIGIN_USER : PF_ORIGIN_KERNEL;
#elif defined(__TARGET_ARCH_arm64)
    return (ctx->regs.pstate & 0xf) == 0 ? PF_ORIGIN_USER : PF_ORIGIN_KERNEL;
#else
#error "say here how this architecture tells user mode from kernel mode"
#endif
}

static __always_inline void pf_enter(__u64 address, __u8 origin, __u8 access) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct pf_task *state;
    struct pf_open *open;

    if (!pf_recording)
        return;
    state = pf_recorded(task);
    if (!state)
        return;
    state->entered = 1;
    open = &state->open[origin == PF_ORIGIN_USER ? 0 : 1];
    if (open->is_open)
        __sync_fetch_and_add(&pf_drops.unfinished, 1);
    open->address = address;
    open->cpu = bpf_get_smp_processor_id();
    open->access = access;
    open->is_open = 1;
    open->retries = 0;
    open->any_major = 0;
    open->ts_ns = bpf_ktime_get_ns();
}

static __always_inline int pf_complete(struct bpf_perf_event_data *ctx, __u8 major) {
    __u64 now = bpf_ktime_get_ns();
    struct task_struct *task = bpf_get_current_task_btf();
    struct pf_task *state = bpf_task_storage_get(&pf_tasks, task, 0, 0);
    __u8 origin = pf_origin_of(ctx);
    __u64 counted = pf_count_of(task);
    struct pf_fault *fault;
    struct pf_open *open;

    /* No state: not ours, or it entered before the recording began. */
    if (!state)
        return 0;

    /* This fault is one; whatever else the kernel counted since the last one, no probe saw. */
    state->hidden += counted - state->counted - 1;
    state->counted = counted;

    open = &state->open[origin == PF_ORIGIN_USER ? 0 : 1];
    if (!open->is_open || ((open->address ^ ctx->addr) & PF_PAGE_MASK)) {
        /* The first one of a task that was there before may have entered before the recording did. */
        if (pf_recording && state->entered) {
            __sync_fetch_and_add(&pf_drops.no_entry, 1);
            state->lost++;
        }
        return 0;
    }
    open->is_open = 0;

    fault = bpf_ringbuf_reserve(&pf_ring, sizeof(*fault), 0);
    if (!fault) {
        __sync_fetch_and_add(&pf_drops.reserve, 1);
        state->lost++;
        return 0;
    }
    fault->kind = PF_FAULT;
    fault->major = major;
    fault->failed = 0;
    fault->access = open->access;
    fault->origin = origin;
    fault->retries = open->retries;
    fault->cpu = open->cpu;
    fault->ts_ns = open->ts_ns;
    fault->latency_ns = now - open->ts_ns;
    fault->address = open->address;
    fault->ip = PT_REGS_IP(&ctx->regs);
    fault->tgid = task->tgid;
    fault->tid = task->pid;
    pf_tell_counts(&fault->counts, task, state);
    bpf_ringbuf_submit(fault, pf_wake_flags());
    return 0;
}

/* Entry, where the architecture has these tracepoints. */

SEC("tp_btf/page_fault_user")
int BPF_PROG(pf_enter_user, unsigned long address, void *regs, unsigned long error_code) {
    pf_enter(address, PF_ORIGIN_USER, pf_access_of(error_code));
    return 0;
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(pf_enter_kernel, unsigned long address, void *regs, unsigned long error_code) {
    pf_enter(address, PF_ORIGIN_KERNEL, pf_access_of(error_code));
    return 0;
}

/* Entry everywhere else: PERF_COUNT_SW_PAGE_FAULTS, fired before any lock is taken. */

SEC("perf_event")
int pf_enter_perf(struct bpf_perf_event_data *ctx) {
    pf_enter(ctx->addr, pf_origin_of(ctx), PF_ACCESS_UNKNOWN);
    return 0;
}

/* Completion: PERF_COUNT_SW_PAGE_FAULTS_MAJ and _MIN, one event per successful logical fault. */

SEC("perf_event")
int pf_done_major(struct bpf_perf_event_data *ctx) {
    return pf_complete(ctx, 1);
}

SEC("perf_event")
int pf_done_minor(struct bpf_perf_event_data *ctx) {
    return pf_complete(ctx, 0);
}

/* A child is recorded from its first instruction: it has not run yet when this does. */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(pf_fork, struct task_struct *parent, struct task_struct *child) {
    struct pf_task *state = bpf_task_storage_get(&pf_tasks, parent, 0, 0);
    bool wanted = state != NULL;

    /* Not marked yet, or nothing is marked one by one. */
    if (!state && (!pf_recording || pf_target == PF_TARGET_ALL))
        wanted = pf_is_wanted(parent);
    if (!wanted || (pf_target == PF_TARGET_PIDS && child->tgid != parent->tgid))
        return 0;
    state = pf_adopt(child);
    if (state)
        state->entered = pf_recording;
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(pf_exit, struct task_struct *task) {
    struct pf_task *state = bpf_task_storage_get(&pf_tasks, task, 0, 0);
    struct pf_exit *record;
    __u64 counted;

    if (!state || !pf_recording)
        return 0;
    for (int i = 0; i < 2; i++) {
        if (state->open[i].is_open)
            __sync_fetch_and_add(&pf_drops.unfinished, 1);
        state->open[i].is_open = 0;
    }
    counted = pf_count_of(task);
    state->hidden += counted - state->counted;
    state->counted = counted;

    record = bpf_ringbuf_reserve(&pf_ring, sizeof(*record), 0);
    if (!record) {
        __sync_fetch_and_add(&pf_drops.exits, 1);
        return 0;
    }
    __builtin_memset(record, 0, sizeof(*record));
    record->kind = PF_EXIT;
    record->ts_ns = bpf_ktime_get_ns();
    record->tgid = task->tgid;
    record->tid = task->pid;
    pf_tell_counts(&record->counts, task, state);
    bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
    return 0;
}

/* Run once before the start, with pf_fork in force: marks what exists already. */

SEC("iter/task")
int pf_mark(struct bpf_iter__task *ctx) {
    struct task_struct *task = ctx->task;

    if (task && pf_is_wanted(task) && !bpf_task_storage_get(&pf_tasks, task, 0, 0))
        pf_adopt(task);
    return 0;
}

/* Run once at the end: which faults are still on their way? */

SEC("iter/task")
int pf_count_open(struct bpf_iter__task *ctx) {
    struct task_struct *task = ctx->task;
    struct pf_task *state;

    if (!task)
        return 0;
    state = bpf_task_storage_get(&pf_tasks, task, 0, 0);
    if (!state)
        return 0;
    for (int i = 0; i < 2; i++)
        pf_in_flight += state->open[i].is_open;
    return 0;
}

/* Never run: loaded and attached once by `pfrec doctor`, to learn what this kernel takes. */

SEC("fentry/handle_mm_fault")
int pf_try_fentry(void *ctx) {
    return 0;
}

SEC("kprobe/handle_mm_fault")
int pf_try_kprobe(void *ctx) {
    return 0;
}
