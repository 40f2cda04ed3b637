/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The life of one fault: it enters, is tried once or more, and completes. The backends differ in which of
 * these steps they see, and call the functions here.
 */
#ifndef PF_FAULT_H
#define PF_FAULT_H

const volatile __u8 pf_want_vma;

static __always_inline void pf_open_slot(struct pf_task *state, struct task_struct *task, enum pf_slot slot,
                                         __u64 address, __u8 access) {
    struct pf_open *open = &state->open[slot];
    struct pf_open_more *more = &state->more[slot];

    open->address = address;
    if (!pf_unrecorded) {
        open->cpu = bpf_get_smp_processor_id();
        open->access = access;
    }
    open->state = PF_OPEN;
    open->attempts = 0;
    open->retried = 0;
    open->has_vma = 0;
    open->interrupted = 0;
    open->ts_ns = bpf_ktime_get_ns();
    if (slot != PF_SLOT_GUP && !pf_unrecorded && !pf_major_only)
        pf_load_ahead(open->cpu, pf_want_vma || pf_breakdown || pf_stacks || (pf_queries && state->queried));
    if (pf_minor_unseen)
        more->counted = PF_TASK(task, maj_flt) + PF_TASK(task, min_flt);
    if (pf_breakdown) {
        more->lock_ns = 0;
        more->outside_ns = open->ts_ns;
        more->before = state->off;
    }
    if (pf_causes)
        pf_begin_seeing(state, &more->seen);
}

/* The attempt before was given up without a signal, as for work that the kernel has for the task: nothing but
 * the same instruction can enter while it is open. */
static __always_inline bool pf_is_restart(const struct pf_open *open, enum pf_slot slot, __u64 address) {
    return slot == PF_SLOT_USER && open->address == address && !pf_minor_unseen;
}

static __always_inline void pf_enter(__u64 address, enum pf_slot slot, __u8 access, __u64 ip) {
    struct task_struct *task;
    struct pf_task *state;
    struct pf_open *open;

    if (!pf_recording)
        return;
    task = pf_current();
    state = pf_recorded(task);
    if (!state || state->walking)
        return;
    /* Not the first one of a task that ran before: nobody can tell that from an entry before the recording.
     */
    if (state->entered && pf_inject(pf_skip_entries, &pf_injected_entries))
        return;
    state->entered = 1;
    open = &state->open[slot];
    /* What is counted while it is open is this fault, or one inside it. */
    if (slot != PF_SLOT_GUP)
        pf_catch_up(state, task, false, false, PF_SLOTS);
    if (open->state == PF_OPEN) {
        if (pf_is_restart(open, slot, address)) {
            if (!open->interrupted) {
                state->more[slot].between_ns = state->more[slot].charged_ns = 0;
                state->more[slot].signal = 0;
            }
            if (open->interrupted < 255)
                open->interrupted++;
            return;
        }
        if (slot == PF_SLOT_GUP && pf_causes)
            pf_give_up_hidden(state, task);
        else if (!pf_minor_unseen)
            pf_count_drop(&pf_drops.unfinished);
    }
    if (pf_entry_is_wanted(state, task, address)) {
        pf_open_slot(state, task, slot, address, access);
        if (slot == PF_SLOT_USER && state->lefts)
            pf_resume(state, ip);
    } else {
        open->address = address;
        open->state = PF_FILTERED;
    }
}

static __always_inline bool pf_is_at(const struct pf_open *open, __u64 address) {
    return open->state != PF_CLOSED && !((open->address ^ address) & PF_PAGE_MASK);
}

/* The lock is held, so the fields are copied; the pointer would be of no use later. */
#define PF_COPY_VMA(state, slot, vma, address, read)                                                         \
    do {                                                                                                     \
        struct pf_open *open_ = &(state)->open[slot];                                                        \
        struct pf_open_more *more_ = &(state)->more[slot];                                                   \
        struct file *file_ = read((vma), vm_file);                                                           \
                                                                                                             \
        open_->has_vma = 1;                                                                                  \
        more_->inode = 0;                                                                                    \
        more_->dev = 0;                                                                                      \
        more_->file_page = (((address)-read((vma), vm_start)) >> pf_page_shift) + read((vma), vm_pgoff);     \
        if (file_) {                                                                                         \
            more_->inode = read(file_, f_inode, i_ino);                                                      \
            more_->dev = read(file_, f_inode, i_sb, s_dev);                                                  \
        }                                                                                                    \
        if (pf_by_file && !pf_is_wanted_file(more_->inode, more_->dev))                                      \
            open_->state = PF_FILTERED;                                                                      \
    } while (0)

/* handle_mm_fault begins. Whether this is the first attempt and the mapping is not known yet. */
static __always_inline bool pf_try(struct pf_task *state, enum pf_slot slot, __u64 address) {
    struct pf_open *open = &state->open[slot];
    struct pf_open_more *more = &state->more[slot];

    if (!pf_is_at(open, address))
        return false;
    if (pf_breakdown && more->outside_ns) {
        more->lock_ns += bpf_ktime_get_ns() - more->outside_ns;
        more->outside_ns = 0;
    }
    if (open->attempts < 255)
        open->attempts++;
    return open->attempts == 1 && open->state == PF_OPEN;
}

/* handle_mm_fault ends, and will be called again. */
static __always_inline void pf_retry(struct pf_task *state, enum pf_slot slot, __u64 address) {
    struct pf_open *open = &state->open[slot];

    if (!pf_is_at(open, address))
        return;
    if (open->retried < 255)
        open->retried++;
    if (pf_breakdown)
        state->more[slot].outside_ns = bpf_ktime_get_ns();
}

/* An attempt is not seen when the kernel skips the probe, so both ends are asked. */
static __always_inline __u8 pf_retries_of(const struct pf_open *open) {
    __u8 begun = open->attempts ? open->attempts - 1 : 0;

    return begun > open->retried ? begun : open->retried;
}

static __always_inline void pf_fill_more(struct pf_more *to, const struct pf_task *state, enum pf_slot slot,
                                         __u64 stack, __u64 query) {
    const struct pf_open_more *more = &state->more[slot];
    bool has_vma = state->open[slot].has_vma;
    struct pf_times spent;

    to->filtered = state->filtered;
    to->dev = has_vma ? more->dev : 0;
    to->inode = has_vma ? more->inode : 0;
    to->file_page = has_vma ? more->file_page : 0;
    to->stack = stack;
    to->query = query;
    if (pf_breakdown) {
        spent.blocked_ns = state->off.blocked_ns - more->before.blocked_ns;
        spent.runqueue_ns = state->off.runqueue_ns - more->before.runqueue_ns;
        spent.reclaim_ns = state->off.reclaim_ns - more->before.reclaim_ns;
        pf_pack_times(to, &spent, more->lock_ns);
    }
}

/* How a fault ended. */
struct pf_end {
    __u64 address;
    bool major;
    bool failed;
    __u8 origin;
    __u8 signal; /* that it ended in */
    struct pf_user_place at;
};

/* It was not asked for. */
static __always_inline void pf_leave_out(struct pf_task *state, const struct pf_end *end,
                                         struct pf_tally *here, bool by_event) {
    if (!end->failed)
        state->filtered++;
    if (by_event) {
        PF_TALLY(here, filtered);
        if (end->major)
            PF_TALLY(here, filtered_major);
    }
}

/*
 * Constants: `by_event`, whether a software event told of the end; `resolve`, whether to ask for the mapping.
 * `here` is for completions by event.
 */
static __always_inline void pf_complete(struct pf_task *state, struct task_struct *task, enum pf_slot slot,
                                        const struct pf_end *end, struct pf_tally *here, bool by_event,
                                        bool resolve) {
    struct pf_open *open = &state->open[slot];
    struct pf_fault *fault;
    struct pf_room room;
    __u64 now, latency, charged = 0, stack = 0, query = 0;
    __u8 flags = 0;
    bool is_open;

    /* A failed fault is counted by nobody. */
    is_open = pf_is_at(open, end->address);
    pf_catch_up(state, task, !end->failed, end->major, is_open ? slot : PF_SLOTS);
    if (!is_open) {
        /* No entry was missed where there is none: as if the kernel had not told. */
        if (slot == PF_SLOT_GUP) {
            state->hidden += end->failed ? 0 : 1;
            if (!end->failed && end->major)
                __sync_fetch_and_add(&pf_hidden_majors, 1);
            return;
        }
        /* The first one of a task that was there before may have entered before the recording did. */
        if (pf_recording && state->entered && !end->failed) {
            pf_count_drop(&pf_drops.no_entry);
            state->lost++;
            if (by_event)
                PF_TALLY(here, lost);
        } else if (by_event) {
            PF_TALLY(here, outside);
        }
        return;
    }
    now = open->state == PF_OPEN ? bpf_ktime_get_ns() : 0;
    if (resolve && now) {
        const struct pf_open_more *more = &state->more[slot];

        pf_resolve_vma(state, task, slot);
        if (open->has_vma && !pf_is_wanted_file(more->inode, more->dev))
            now = 0;
    }
    open->state = PF_CLOSED;
    if (!now) {
        pf_leave_out(state, end, here, by_event);
        return;
    }
    latency = now - open->ts_ns;
    if (open->interrupted) {
        latency -= state->more[slot].between_ns;
        charged = state->more[slot].charged_ns;
    }
    /* Before what leaves out faults by chance or by latency: a query is told how long it waited in all. */
    if (pf_queries && state->queried)
        query = pf_charge_query(task, end->major, end->failed, latency - charged);
    if (!pf_completion_is_wanted(state, end->major, end->failed, latency)) {
        pf_leave_out(state, end, here, by_event);
        return;
    }
    if (pf_live) {
        bool placed = !pf_by_file || open->has_vma;

        pf_live_count(state, task, end->major, end->failed, placed, open->ts_ns, latency);
        if (pf_unrecorded) {
            if (by_event && !placed)
                PF_TALLY(here, lost);
            if (!by_event && !end->failed)
                pf_count_drop(&pf_live_without_event);
            return;
        }
    }
    if (pf_stacks) {
        state->walking = 1;
        stack = pf_stack_of(task, slot == PF_SLOT_USER, &end->at, open->ts_ns,
                            by_event ? PF_SCRATCH_EVENT : PF_SCRATCH_TASK);
        state->walking = 0;
    }
    if (!pf_begin_fault(&room, by_event && !open->interrupted)) {
        /* What nobody counted cannot be missing in the books. */
        pf_count_drop(end->failed ? &pf_drops.failed : &pf_drops.reserve);
        if (!end->failed) {
            state->lost++;
            if (by_event)
                PF_TALLY(here, lost);
            if (pf_live)
                pf_live_keeps(state);
        }
        return;
    }
    fault = room.fault;
    if (!room.ends) {
        struct pf_interruptions *to = &((struct pf_ring_fault *)fault)->interruptions;

        to->between_ns = open->interrupted ? state->more[slot].between_ns : 0;
        to->count = open->interrupted;
        to->pad = 0;
    }
    if (pf_want_vma || resolve || pf_breakdown || stack || query || state->filtered) {
        struct pf_more *more = pf_more_room(&room);

        if (more) {
            flags |= PF_HAS_MORE;
            flags |= open->has_vma ? PF_HAS_VMA : 0;
            flags |= pf_breakdown ? PF_HAS_BREAKDOWN : 0;
            pf_fill_more(more, state, slot, stack, query);
        }
    }
    if (pf_causes) {
        struct pf_cause *cause = pf_cause_room(&room);

        if (cause) {
            flags |= PF_HAS_CAUSE;
            pf_fill_cause(cause, &state->more[slot].seen, state->added - state->more[slot].seen.added,
                          state->first);
        }
    }
    fault->kind = PF_FAULT;
    fault->flags = flags | (end->major ? PF_MAJOR : 0) | (end->failed ? PF_FAILED : 0);
    fault->access = open->access;
    fault->origin = end->origin;
    fault->retries = pf_retries_of(open);
    fault->signal = open->interrupted && !end->signal ? state->more[slot].signal : end->signal;
    fault->cpu = open->cpu;
    fault->ts_ns = open->ts_ns;
    fault->latency_ns = latency;
    fault->address = open->address;
    fault->ip = end->at.ip;
    fault->tgid = PF_TASK(task, tgid);
    fault->tid = PF_TASK(task, pid);
    pf_tell_counts(&fault->counts, task, state);
    pf_end_fault(&room);
}

/* A completion that no state tells of. */
static __always_inline void pf_done_without_state(struct task_struct *task, struct pf_tally *here,
                                                  bool major) {
    if ((__u32)(bpf_get_current_pid_tgid() >> 32) == pf_self_tgid) {
        PF_TALLY(here, own);
    } else if (pf_recording && pf_is_without_state(task)) {
        PF_TALLY(here, met);
        PF_TALLY(here, lost);
        pf_count_drop(&pf_drops.state);
        if (major)
            pf_count_drop(&pf_drops.state_major);
    } else {
        PF_TALLY(here, others);
    }
}

#endif
