/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Accesses that a signal interrupts. The kernel gives up such an attempt when its wait is over, delivers the
 * signal, and the instruction runs again: one access, several attempts, and most of its waiting in one that
 * completes nothing. The attempt ends where the signal is delivered, or where the task is stopped; what it
 * waited is kept until the same instruction enters a fault on the same address again.
 */
#ifndef PF_LEFT_H
#define PF_LEFT_H

/* The instruction that user code is at, or was interrupted at; 0 where the kernel does not tell. */
static __always_inline void pf_user_place_of(struct task_struct *task, struct pf_user_place *place) {
    struct pt_regs *regs;

    place->ip = place->fp = 0;
    if (!pf_task_pt_regs || !pf_task_storage)
        return;
    regs = (struct pt_regs *)bpf_task_pt_regs(task);
    place->ip = PT_REGS_IP(regs);
    place->fp = PT_REGS_FP(regs);
}

/* No later attempt completes the access: the thread does not come back to it, or found the page there. A row
 * of its own, in no count of the kernel's. */
static __always_inline void pf_abandon(struct pf_task *state, struct task_struct *task, struct pf_left *left,
                                       __u64 now) {
    struct pf_ring_fault *room;
    __u64 waited = left->waited_ns;

    if (!left->ts_ns)
        return;
    if (state->lefts)
        state->lefts--;
    if (waited >= pf_min_latency_ns && pf_live)
        pf_live_count(state, task, false, true, true, left->ts_ns, waited);
    if (waited < pf_min_latency_ns || pf_unrecorded) {
        left->ts_ns = 0;
        return;
    }
    room = bpf_ringbuf_reserve(&pf_ring, sizeof(*room), 0);
    if (!room) {
        pf_count_drop(&pf_drops.failed);
        left->ts_ns = 0;
        return;
    }
    __builtin_memset(room, 0, sizeof(*room));
    room->fault.kind = PF_FAULT;
    room->fault.flags = PF_FAILED | PF_ABANDONED | PF_HAS_MORE | (left->has_vma ? PF_HAS_VMA : 0);
    room->fault.access = left->access;
    room->fault.origin = PF_ORIGIN_USER;
    room->fault.retries = left->retried;
    room->fault.signal = left->signal;
    room->fault.cpu = left->cpu;
    room->fault.ts_ns = left->ts_ns;
    room->fault.latency_ns = waited;
    room->fault.address = left->address;
    room->fault.ip = left->ip;
    room->fault.tgid = PF_TASK(task, tgid);
    room->fault.tid = PF_TASK(task, pid);
    room->more.dev = left->dev;
    room->more.inode = left->inode;
    room->more.file_page = left->file_page;
    if (pf_breakdown) {
        room->fault.flags |= PF_HAS_BREAKDOWN;
        pf_pack_times(&room->more, &left->spent, left->lock_ns);
    }
    if (pf_causes) {
        room->fault.flags |= PF_HAS_CAUSE;
        pf_fill_cause(&room->cause, &left->seen, left->seen.added, left->seen.first);
    }
    room->interruptions.between_ns = now - left->ts_ns - waited;
    room->interruptions.count = left->interrupted;
    bpf_ringbuf_submit(room, pf_ring_flags());
    left->ts_ns = 0;
}

/* Gives up all of them: the thread ends, runs another program, or is recorded no longer. */
static __always_inline void pf_abandon_all(struct pf_task *state, struct task_struct *task) {
    __u64 now;

    if (!state->lefts)
        return;
    now = bpf_ktime_get_ns();
#pragma clang loop unroll(full)
    for (int i = 0; i < PF_LEFTS; i++)
        pf_abandon(state, task, &state->left[i], now);
}

/* The attempt of the fault in progress ends here, and completes nothing. */
static __always_inline void pf_interrupt(struct pf_task *state, struct task_struct *task, __u32 signal) {
    struct pf_open *open = &state->open[PF_SLOT_USER];
    struct pf_open_more *more = &state->more[PF_SLOT_USER];
    struct pf_user_place place;
    struct pf_left *left = NULL;
    __u64 now, waited;
    __u32 which;

    now = bpf_ktime_get_ns();
    waited = now - open->ts_ns - (open->interrupted ? more->between_ns : 0);
    if (pf_queries && state->queried) {
        pf_charge_wait(task, waited - (open->interrupted ? more->charged_ns : 0));
        more->charged_ns = waited;
    }
    open->state = PF_CLOSED;
#pragma clang loop unroll(full)
    for (int i = 0; i < PF_LEFTS; i++) {
        if (!left && !state->left[i].ts_ns)
            left = &state->left[i];
    }
    if (!left) {
        which = state->left_next++ & (PF_LEFTS - 1);
        left = &state->left[which];
        pf_abandon(state, task, left, now);
    }
    pf_user_place_of(task, &place);
    left->ts_ns = open->ts_ns;
    left->waited_ns = waited;
    left->address = open->address;
    left->ip = place.ip;
    left->signal = signal;
    left->cpu = open->cpu;
    left->access = open->access;
    left->attempts = open->attempts;
    left->retried = open->retried;
    left->has_vma = open->has_vma;
    left->interrupted = open->interrupted < 255 ? open->interrupted + 1 : 255;
    if (open->has_vma) {
        left->dev = more->dev;
        left->inode = more->inode;
        left->file_page = more->file_page;
    }
    if (pf_breakdown) {
        left->spent.blocked_ns = state->off.blocked_ns - more->before.blocked_ns;
        left->spent.runqueue_ns = state->off.runqueue_ns - more->before.runqueue_ns;
        left->spent.reclaim_ns = state->off.reclaim_ns - more->before.reclaim_ns;
        left->lock_ns = more->lock_ns;
    }
    if (pf_causes)
        pf_keep_seen(&left->seen, state, &more->seen);
    state->lefts++;
}

/* A fault has entered: is it another attempt of an access that was interrupted? */
static __always_inline void pf_resume(struct pf_task *state, __u64 ip) {
    struct pf_open *open = &state->open[PF_SLOT_USER];
    struct pf_open_more *more = &state->more[PF_SLOT_USER];

#pragma clang loop unroll(full)
    for (int i = 0; i < PF_LEFTS; i++) {
        struct pf_left *left = &state->left[i];

        if (!left->ts_ns || left->address != open->address || (left->ip && left->ip != ip))
            continue;
        more->between_ns = open->ts_ns - left->ts_ns - left->waited_ns;
        more->charged_ns = left->waited_ns;
        more->signal = left->signal;
        open->ts_ns = left->ts_ns;
        open->cpu = left->cpu;
        open->attempts = left->attempts;
        open->retried = left->retried;
        open->interrupted = left->interrupted;
        if (left->has_vma) {
            open->has_vma = 1;
            more->dev = left->dev;
            more->inode = left->inode;
            more->file_page = left->file_page;
        }
        if (pf_breakdown) {
            more->lock_ns = left->lock_ns;
            more->before.blocked_ns = state->off.blocked_ns - left->spent.blocked_ns;
            more->before.runqueue_ns = state->off.runqueue_ns - left->spent.runqueue_ns;
            more->before.reclaim_ns = state->off.reclaim_ns - left->spent.reclaim_ns;
        }
        if (pf_causes)
            pf_go_on_seeing(&more->seen, state, &left->seen);
        left->ts_ns = 0;
        if (state->lefts)
            state->lefts--;
        break;
    }
}

/* The fault that the current task is in, if it is one. */
static __always_inline bool pf_is_in_fault(struct pf_task *state, struct task_struct *task) {
    struct pf_open *open = &state->open[PF_SLOT_USER];

    if (open->state == PF_CLOSED)
        return false;
    /* Unless it completed, and no program met that. */
    if (!pf_minor_unseen)
        pf_catch_up(state, task, false, false, PF_SLOTS);
    if (open->state == PF_CLOSED)
        return false;
    if (open->state == PF_FILTERED ||
        (pf_minor_unseen &&
         state->more[PF_SLOT_USER].counted != PF_TASK(task, maj_flt) + PF_TASK(task, min_flt))) {
        open->state = PF_CLOSED;
        return false;
    }
    return true;
}

/* The beginning of struct kernel_siginfo for a fault, on all architectures of 64 bits. */
struct pf_siginfo {
    __s32 signo;
    __s32 error;
    __s32 code;
    __s32 pad;
    __u64 address;
};

enum {
    PF_SIGBUS = 7,
    PF_SIGSEGV = 11,
};

/* Whether the kernel sends this signal because of the fault in progress. */
static __always_inline bool pf_is_verdict(const struct pf_open *open, int sig, const void *info) {
    struct pf_siginfo fault;

    if (sig != PF_SIGBUS && sig != PF_SIGSEGV)
        return false;
    /* SEND_SIG_NOINFO, SEND_SIG_PRIV. */
    if ((unsigned long)info <= 1 || bpf_probe_read_kernel(&fault, sizeof(fault), info))
        return false;
    /* Codes of users are 0 and below. SI_KERNEL has no address. */
    return fault.code > 0 && (fault.code == 0x80 || !((fault.address ^ open->address) & PF_PAGE_MASK));
}

#endif
