// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * The probes. What they rest on is in docs/internals.md; which of them are loaded and attached
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
#include "pf_live_wire.h"
#include "pf_inject.h"
#include "pf_state.h"
#include "pf_vma.h"
#include "pf_filter.h"
#include "pf_output.h"
#include "pf_live.h"
#include "pf_stack.h"
#include "pf_cause.h"
#include "pf_offcpu.h"
#include "pf_query.h"
#include "pf_site.h"
#include "pf_left.h"
#include "pf_fault.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Types that only the recorder needs still have to reach its skeleton. */
const struct pf_ring_fault *pf_unused_ring_fault __attribute__((unused));
const struct pf_exit *pf_unused_exit __attribute__((unused));
const struct pf_exec *pf_unused_exec __attribute__((unused));
const enum pf_kind *pf_unused_kind __attribute__((unused));
const enum pf_flag *pf_unused_flag __attribute__((unused));
const enum pf_access *pf_unused_access __attribute__((unused));
const enum pf_origin *pf_unused_origin __attribute__((unused));
const enum pf_target *pf_unused_target __attribute__((unused));
const enum pf_query_flag *pf_unused_query_flag __attribute__((unused));
const struct pf_query *pf_unused_query __attribute__((unused));
const struct pf_query_text *pf_unused_query_text __attribute__((unused));

/* --- what differs from one architecture to the next ------------------------------------------------ */

#if defined(__TARGET_ARCH_x86)

/* Bit 1 write, bit 4 instruction fetch (arch/x86/include/asm/trap_pf.h). */
static __always_inline __u8 pf_access_of(unsigned long error_code) {
    if (error_code & 16)
        return PF_ACCESS_EXEC;
    return error_code & 2 ? PF_ACCESS_WRITE : PF_ACCESS_READ;
}

#define PF_USER_MODE(regs) (((regs)->cs & 3) == 3)
#define PF_RETURN_BYTES 8 /* a return takes its address off the stack */

#elif defined(__TARGET_ARCH_arm64)

static __always_inline __u8 pf_access_of(unsigned long error_code) {
    return PF_ACCESS_UNKNOWN;
}

#define PF_USER_MODE(regs) (((regs)->pstate & 0xf) == 0)
#define PF_RETURN_BYTES 0

#else
#error "say here how this architecture tells user mode from kernel mode"
#endif

static __always_inline __u8 pf_access_of_flags(unsigned int flags) {
    if (flags & FAULT_FLAG_INSTRUCTION)
        return PF_ACCESS_EXEC;
    return flags & FAULT_FLAG_WRITE ? PF_ACCESS_WRITE : PF_ACCESS_READ;
}

/* --- attempts: handle_mm_fault ---------------------------------------------------------------------- */

/* First, since the kernel looks at programs in this order: where these are refused, it looked at no other in
 * vain. */

/* kprobe: entry only. A return probe would run out of instances while faults sleep. */

SEC("kprobe/handle_mm_fault")
int BPF_KPROBE(pf_try_by_kprobe, struct vm_area_struct *vma, unsigned long address, unsigned int flags,
               struct pt_regs *regs) {
    enum pf_slot slot = flags & FAULT_FLAG_USER ? PF_SLOT_USER : PF_SLOT_KERNEL;
    struct pf_task *state;

    if (!regs)
        return 0;
    state = pf_state_of_current(pf_current());
    if (!state)
        return 0;
    if (pf_try(state, slot, address)) {
        pf_set_access(&state->open[slot], pf_access_of_flags(flags));
        PF_COPY_VMA(state, slot, vma, address, BPF_CORE_READ);
    }
    return 0;
}

/*
 * fentry and fexit see every attempt, the faults of get_user_pages, and those that fail. Faults that the
 * kernel counts with an event still complete by that event: on a preemptible kernel a task can be preempted
 * inside a trampoline's program, and until it goes on the kernel skips this program on that CPU.
 */

static __always_inline enum pf_slot pf_slot_of(unsigned int flags, const struct pt_regs *regs) {
    if (!regs)
        return PF_SLOT_GUP;
    return flags & FAULT_FLAG_USER ? PF_SLOT_USER : PF_SLOT_KERNEL;
}

#define PF_FOLLOW1(a, b) (a)->b
#define PF_FOLLOW2(a, b, c) (a)->b->c
#define PF_FOLLOW3(a, b, c, d) (a)->b->c->d
#define PF_FOLLOW_N(a, b, c, d, name, ...) name
#define PF_FOLLOW(...) PF_FOLLOW_N(__VA_ARGS__, PF_FOLLOW3, PF_FOLLOW2, PF_FOLLOW1)(__VA_ARGS__)

SEC("fentry/handle_mm_fault")
int BPF_PROG(pf_try_by_fentry, struct vm_area_struct *vma, unsigned long address, unsigned int flags,
             struct pt_regs *regs) {
    enum pf_slot slot = pf_slot_of(flags, regs);
    struct pf_task *state;

    /* get_user_pages has no entry event, so its first attempt is the entry. */
    if (slot == PF_SLOT_GUP && !(flags & FAULT_FLAG_TRIED))
        pf_enter(address, slot, pf_access_of_flags(flags), 0);
    state = pf_state_of_current(pf_current());
    if (!state)
        return 0;
    if (pf_try(state, slot, address)) {
        pf_set_access(&state->open[slot], pf_access_of_flags(flags));
        PF_COPY_VMA(state, slot, vma, address, PF_FOLLOW);
    }
    return 0;
}

SEC("fexit/handle_mm_fault")
int BPF_PROG(pf_tried_by_fexit, struct vm_area_struct *vma, unsigned long address, unsigned int flags,
             struct pt_regs *regs, unsigned int ret) {
    enum pf_slot slot = pf_slot_of(flags, regs);
    struct pf_end end = {.address = address, .origin = (__u8)slot};
    struct task_struct *task;
    struct pf_task *state;

    /* The usual: completed, and told by its event. */
    if (slot != PF_SLOT_GUP && !(ret & (VM_FAULT_RETRY | VM_FAULT_ERROR)))
        return 0;
    task = pf_current();
    state = pf_state_of_current(task);
    if (!state)
        return 0;
    if (ret & VM_FAULT_RETRY) {
        pf_retry(state, slot, address);
        return 0;
    }
    /* As mm_account_fault in mm/memory.c has it. */
    end.failed = ret & VM_FAULT_ERROR;
    end.major = (ret & VM_FAULT_MAJOR) || (flags & FAULT_FLAG_TRIED);
    if (slot == PF_SLOT_GUP) {
        end.origin = flags & FAULT_FLAG_REMOTE ? PF_ORIGIN_GUP_REMOTE : PF_ORIGIN_GUP;
        if (pf_major_only && !end.major && !end.failed) {
            state->open[slot].state = PF_CLOSED;
            return 0;
        }
    } else {
        end.at.ip = PT_REGS_IP(regs);
        end.at.fp = PT_REGS_FP(regs);
    }
    pf_complete(state, task, slot, &end, NULL, false, false);
    return 0;
}

/* --- entry ----------------------------------------------------------------------------------------- */

/* Where the architecture has these tracepoints. */

SEC("tp_btf/page_fault_user")
int BPF_PROG(pf_enter_user, unsigned long address, struct pt_regs *regs, unsigned long error_code) {
    pf_enter(address, PF_SLOT_USER, pf_access_of(error_code) | pf_presence_of(error_code), PT_REGS_IP(regs));
    return 0;
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(pf_enter_kernel, unsigned long address, void *regs, unsigned long error_code) {
    struct task_struct *task = pf_current();

    /* The kernel does not handle such a fault, and often tries again in the open. A read by helper disables
     * page faults itself. */
    if (PF_TASK(task, pagefault_disabled) > (pf_task_storage ? 0 : 1)) {
        if (pf_recording && pf_state_of_current(task))
            pf_count_drop(&pf_drops.atomic);
        return 0;
    }
    pf_enter(address, PF_SLOT_KERNEL, pf_access_of(error_code) | pf_presence_of(error_code), 0);
    return 0;
}

/* Elsewhere: PERF_COUNT_SW_PAGE_FAULTS, fired before any lock is taken. */

SEC("perf_event")
int pf_enter_perf(struct bpf_perf_event_data *ctx) {
    pf_enter(ctx->addr, PF_USER_MODE(&ctx->regs) ? PF_SLOT_USER : PF_SLOT_KERNEL, PF_ACCESS_UNKNOWN,
             PT_REGS_IP(&ctx->regs));
    return 0;
}

/* --- completion by software events: PERF_COUNT_SW_PAGE_FAULTS_MAJ and _MIN ------------------------- */

/* One event per successful logical fault, fired where the kernel counts it. */
static __always_inline int pf_done(struct bpf_perf_event_data *ctx, bool major, bool resolve) {
    struct task_struct *task = pf_current();
    struct pf_task *state = pf_state_of_current(task);
    struct pf_tally *here = pf_tally_here();
    bool user = PF_USER_MODE(&ctx->regs);
    struct pf_end end = {
        .address = ctx->addr,
        .major = major,
        .origin = user ? PF_ORIGIN_USER : PF_ORIGIN_KERNEL,
        .at.ip = PT_REGS_IP(&ctx->regs),
        .at.fp = PT_REGS_FP(&ctx->regs),
    };

    /* No state: not ours, or it entered before the recording began. */
    if (!state) {
        pf_done_without_state(task, here, major);
        return 0;
    }
    /* Recorded until it left the cgroup, and perhaps again: what is counted there knows nothing of it. */
    if (pf_target == PF_TARGET_CGROUP && !state->in_cgroup) {
        PF_TALLY(here, others);
        pf_catch_up(state, task, true, major, user ? PF_SLOT_USER : PF_SLOT_KERNEL);
        state->filtered++;
        state->open[user ? PF_SLOT_USER : PF_SLOT_KERNEL].state = PF_CLOSED;
        return 0;
    }
    if (pf_recording && pf_inject(pf_skip_completions, &pf_injected_completions))
        return 0;
    PF_TALLY(here, met);
    pf_complete(state, task, user ? PF_SLOT_USER : PF_SLOT_KERNEL, &end, here, true, resolve);
    return 0;
}

SEC("perf_event")
int pf_done_major(struct bpf_perf_event_data *ctx) {
    return pf_done(ctx, true, false);
}

SEC("perf_event")
int pf_done_minor(struct bpf_perf_event_data *ctx) {
    return pf_done(ctx, false, false);
}

/* The same for --file: apart, because older kernels refuse to look at a program that calls bpf_find_vma. */

SEC("perf_event")
int pf_done_major_of_file(struct bpf_perf_event_data *ctx) {
    return pf_done(ctx, true, true);
}

SEC("perf_event")
int pf_done_minor_of_file(struct bpf_perf_event_data *ctx) {
    return pf_done(ctx, false, true);
}

/* (mm, write, success), with the path of the cgroup before `write` up to 6.11 or so. */
SEC("tp_btf/mmap_lock_acquire_returned")
int pf_mmap_lock(__u64 *ctx) {
    bool write = ctx[1] <= 1 ? ctx[1] : ctx[2];

    if (write && pf_state_of_current(pf_current()))
        __sync_fetch_and_add(&pf_mappings_changed, 1);
    return 0;
}

/* --- tasks ------------------------------------------------------------------------------------------ */

/* A child is recorded from its first instruction: it has not run yet when this does. */

static __always_inline int pf_forked(struct task_struct *parent, struct task_struct *child) {
    struct pf_task *state = pf_state_of(parent, parent->pid);
    bool wanted = state != NULL;

    /* Not marked yet, or nothing is marked one by one; or it got no state. It may never fault: vfork(2) costs
     * none. */
    if (!state)
        wanted = !pf_recording || pf_met_at_fault() ? pf_is_wanted(parent) : pf_is_without_state(parent);
    if (!wanted || (pf_target == PF_TARGET_PIDS && child->tgid != parent->tgid))
        return 0;
    if (pf_state_of(child, child->pid))
        return 0;
    state = pf_adopt(child, child->pid);
    if (state)
        state->entered = pf_recording;
    return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(pf_fork, struct task_struct *parent, struct task_struct *child) {
    return pf_forked(parent, child);
}

/* Twice: a run that the kernel skips, because a preempted task is inside the same program on that CPU, would
 * cost all faults of the child. */

SEC("tp_btf/sched_process_fork")
int BPF_PROG(pf_fork_again, struct task_struct *parent, struct task_struct *child) {
    return pf_forked(parent, child);
}

static __always_inline int pf_ended(struct task_struct *task) {
    struct pf_task *state = pf_state_of(task, task->pid);
    struct pf_exit *record;
    __u32 tid = task->pid;

    if (!state || state->ended)
        return 0;
    state->ended = 1;
    if (pf_recording) {
        pf_catch_up(state, task, false, false, PF_SLOTS);
        pf_give_up_hidden(state, task);
        for (int i = 0; i < PF_SLOTS; i++) {
            if (state->open[i].state == PF_OPEN && !pf_minor_unseen)
                pf_count_drop(&pf_drops.unfinished);
            state->open[i].state = PF_CLOSED;
        }
        pf_abandon_all(state, task);
        if (pf_live)
            pf_live_end(state, task);
        record = pf_unrecorded ? NULL : bpf_ringbuf_reserve(&pf_ring, sizeof(*record), 0);
        if (record && pf_inject(pf_lose_exits, &pf_injected_exits)) {
            bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
        } else if (record) {
            __builtin_memset(record, 0, sizeof(*record));
            record->kind = PF_EXIT;
            record->filtered = state->filtered;
            record->ts_ns = bpf_ktime_get_ns();
            record->tgid = task->tgid;
            record->tid = tid;
            pf_tell_counts(&record->counts, task, state);
            bpf_ringbuf_submit(record, pf_ring_flags());
        } else if (!pf_unrecorded) {
            pf_count_drop(&pf_drops.exits);
        }
    }
    if (!pf_task_storage)
        bpf_map_delete_elem(&pf_tasks_by_tid, &tid);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(pf_exit, struct task_struct *task) {
    return pf_ended(task);
}

/* Twice, as the fork: else the account of the thread stays open. */

SEC("tp_btf/sched_process_exit")
int BPF_PROG(pf_exit_again, struct task_struct *task) {
    return pf_ended(task);
}

/* Once more when nobody has it any more: kernels before 6.2 do not even find a state while a task that looks
 * for one was preempted on that CPU. A number may belong to somebody else by now. */

SEC("tp_btf/sched_process_free")
int BPF_PROG(pf_exit_late, struct task_struct *task) {
    return pf_task_storage ? pf_ended(task) : 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(pf_exec, struct task_struct *task, int old_tid) {
    __u32 tid = task->pid;
    struct pf_exec *record;
    struct pf_task *state;

    /* By thread number, the state has to follow. */
    if (!pf_task_storage && tid != (__u32)old_tid) {
        state = bpf_map_lookup_elem(&pf_tasks_by_tid, &old_tid);
        if (!state)
            return 0;
        bpf_map_update_elem(&pf_tasks_by_tid, &tid, state, BPF_ANY);
        bpf_map_delete_elem(&pf_tasks_by_tid, &old_tid);
    }
    state = pf_state_of(task, tid);
    if (!state || !pf_recording)
        return 0;
    pf_abandon_all(state, task);
    if (tid == (__u32)old_tid || pf_unrecorded)
        return 0;
    record = bpf_ringbuf_reserve(&pf_ring, sizeof(*record), 0);
    if (!record) {
        pf_count_drop(&pf_drops.exits);
        return 0;
    }
    __builtin_memset(record, 0, sizeof(*record));
    record->kind = PF_EXEC;
    record->ts_ns = bpf_ktime_get_ns();
    record->tgid = task->tgid;
    record->tid = tid;
    record->old_tid = old_tid;
    bpf_ringbuf_submit(record, pf_ring_flags());
    return 0;
}

/* --- what ends an attempt of a fault without completing it ------------------------------------------- */

SEC("tp_btf/signal_deliver")
int BPF_PROG(pf_signal, int sig, void *info, void *action) {
    struct task_struct *task = pf_current();
    struct pf_task *state = pf_state_of_current(task);
    struct pf_open *open;

    if (!state || !pf_recording || !pf_is_in_fault(state, task))
        return 0;
    open = &state->open[PF_SLOT_USER];
    if (pf_is_verdict(open, sig, info)) {
        struct pf_end end = {
            .address = open->address, .failed = true, .origin = PF_ORIGIN_USER, .signal = (__u8)sig};

        pf_user_place_of(task, &end.at);
        pf_complete(state, task, PF_SLOT_USER, &end, NULL, false, false);
    } else {
        pf_interrupt(state, task, sig);
    }
    return 0;
}

/* A stop is no signal that is delivered to every thread; what a thread does before it goes on is not waiting
 * for a page. */
SEC("tp_btf/sched_switch")
int BPF_PROG(pf_stop, bool preempt, struct task_struct *prev) {
    struct pf_task *state;

    if (!(pf_run_state_of(prev) & PF_TASK_STOPPED) || !pf_recording)
        return 0;
    state = pf_state_of(prev, prev->pid);
    if (state && pf_is_in_fault(state, prev))
        pf_interrupt(state, prev, prev->jobctl & PF_JOBCTL_STOP_SIGNAL);
    return 0;
}

/* Run once before the start, with pf_fork in force: marks what exists already. */

SEC("iter/task")
int pf_mark(struct bpf_iter__task *ctx) {
    struct task_struct *task = ctx->task;

    if (task && pf_is_wanted(task) && !pf_state_of(task, task->pid))
        pf_adopt(task, task->pid);
    return 0;
}

/* Run once at the end: which faults are still on their way? */

SEC("iter/task")
int pf_count_open(struct bpf_iter__task *ctx) {
    struct task_struct *task = ctx->task;
    struct pf_task *state;

    if (!task)
        return 0;
    state = pf_state_of(task, task->pid);
    if (!state)
        return 0;
    pf_abandon_all(state, task);
    if (pf_major_only)
        pf_minors_left += state->filtered + task->min_flt - state->minors;
    for (int i = 0; i < PF_SLOTS; i++) {
        if (state->open[i].state != PF_OPEN)
            continue;
        /* Completed since, without telling. */
        if (pf_minor_unseen && state->more[i].counted != task->maj_flt + task->min_flt)
            continue;
        if (!pf_minor_unseen && i != PF_SLOT_GUP && state->counted != (__u32)pf_count_of(task)) {
            pf_missed_open++;
            continue;
        }
        pf_in_flight++;
    }
    return 0;
}

/* --- off-CPU time, with --breakdown ----------------------------------------------------------------- */

SEC("tp_btf/sched_switch")
int BPF_PROG(pf_switch, bool preempt, struct task_struct *prev, struct task_struct *next) {
    __u64 now = bpf_ktime_get_ns();

    pf_leave_cpu(ctx, prev, preempt, now);
    pf_take_cpu(next, now);
    return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(pf_wakeup, struct task_struct *task) {
    pf_wake_up(task);
    return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int pf_reclaim_begin(void *ctx) {
    pf_begin_reclaim();
    return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int pf_reclaim_end(void *ctx) {
    pf_end_reclaim();
    return 0;
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int pf_memcg_begin(void *ctx) {
    pf_begin_reclaim();
    return 0;
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int pf_memcg_end(void *ctx) {
    pf_end_reclaim();
    return 0;
}

/* --- queries, with --query --------------------------------------------------------------------------- */

/* The cookies are made in ../queries.rs. */

SEC("uprobe")
int pf_query_begin(struct pt_regs *ctx) {
    struct pf_site *site = pf_site_of(ctx);

    if (site)
        pf_begin_query(site->cookie, pf_argument_of(ctx, &site->key), pf_argument_of(ctx, &site->text),
                       PT_REGS_SP(ctx));
    return 0;
}

SEC("uprobe")
int pf_query_end(struct pt_regs *ctx) {
    struct pf_site *site = pf_site_of(ctx);

    if (site)
        pf_end_query(site->cookie, pf_argument_of(ctx, &site->key), 0);
    return 0;
}

SEC("uprobe")
int pf_call_begin(struct pt_regs *ctx) {
    __u64 cookie = bpf_get_attach_cookie(ctx);
    struct pf_query_point point = pf_point_of(cookie);

    pf_begin_query(cookie | PF_POINT_CALL, pf_parameter(ctx, point.key), pf_parameter(ctx, point.text),
                   PT_REGS_SP(ctx));
    return 0;
}

SEC("uretprobe")
int pf_call_end(struct pt_regs *ctx) {
    pf_end_query(bpf_get_attach_cookie(ctx), 0, PT_REGS_SP(ctx) - PF_RETURN_BYTES);
    return 0;
}

/* An exec or the end of a thread leaves whatever it was in. */

SEC("tp_btf/sched_process_exec")
int BPF_PROG(pf_query_exec, struct task_struct *task) {
    pf_abandon_queries(task);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(pf_query_exit, struct task_struct *task) {
    pf_abandon_queries(task);
    return 0;
}

/* Run once at the end, when no query ends any more. */

SEC("iter/task")
int pf_tell_open_queries(struct bpf_iter__task *ctx) {
    struct task_struct *task = ctx->task;
    struct pf_query_stack *stack;

    if (!task)
        return 0;
    stack = bpf_task_storage_get(&pf_query_stacks, task, 0, 0);
    if (stack)
        pf_pop_queries(stack, 0, PF_QUERY_OPEN);
    return 0;
}
