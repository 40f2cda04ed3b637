/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Witnesses of a fault's cause, with --causes: where the kernel slept for it, what it brought into the page
 * cache, and whether the page was there. Only a fault that sleeps pays for a stack: 1 to 2 us, of the 10 and
 * more that it loses by sleeping.
 */
#ifndef PF_CAUSE_H
#define PF_CAUSE_H

#define PF_HIDDEN_PLACES 4

const volatile __u8 pf_additions; /* the kernel tells of additions to the page cache */
/* Where the functions of get_user_pages are. */
const volatile __u32 pf_hidden_places_used;
const volatile struct pf_range pf_hidden_places[PF_HIDDEN_PLACES];
/* System calls of which interruptible sleeps are looked at, too: nearly all of those wait for no page. */
const volatile __u64 pf_hidden_calls[8];

/* Types that only the recorder needs still have to reach its skeleton. */
const enum pf_witness *pf_unused_witness __attribute__((unused));
const struct pf_hidden_wait *pf_unused_hidden_wait __attribute__((unused));

/* --- whether the page was present ------------------------------------------------------------------- */

/* As bits of the access. */
static __always_inline __u8 pf_presence_of(unsigned long error_code) {
#if defined(__TARGET_ARCH_x86)
    /* Bit 0 protection (arch/x86/include/asm/trap_pf.h). */
    if (pf_causes)
        return error_code & 1 ? PF_PRESENCE_KNOWN | PF_PRESENT : PF_PRESENCE_KNOWN;
#endif
    return 0;
}

/* The access as handle_mm_fault is told of it; the presence only the entry knows. */
static __always_inline void pf_set_access(struct pf_open *open, __u8 access) {
    open->access = pf_causes ? access | (open->access & (PF_PRESENCE_KNOWN | PF_PRESENT)) : access;
}

/* --- where it slept --------------------------------------------------------------------------------- */

static __always_inline bool pf_is_in_hidden_place(const struct pf_stack *stack, __u32 count) {
    for (__u32 i = 0; i < PF_STACK_FRAMES; i++) {
        if (i >= count)
            break;
        for (int place = 0; place < PF_HIDDEN_PLACES; place++) {
            if (stack->address[i] > pf_hidden_places[place].start &&
                stack->address[i] <= pf_hidden_places[place].end)
                return true;
        }
    }
    return false;
}

/* The kernel's stack of the task that leaves this CPU, by its hash; 0: the kernel gave none, or, with
 * `only_hidden`, it is not in get_user_pages. */
static __always_inline __u64 pf_send_kernel_stack(void *ctx, __u64 now, bool only_hidden) {
    __u32 scratch = PF_SCRATCH_SLEEP, count;
    struct pf_stack *stack = bpf_map_lookup_elem(&pf_stack_scratch, &scratch);
    __u64 hash = 1;
    __u8 one = 1;
    long bytes;

    if (!stack)
        return 0;
    bytes = bpf_get_stack(ctx, stack->address, sizeof(stack->address), 0);
    if (bytes <= 0)
        return 0;
    count = (__u32)bytes / sizeof(__u64);
    if (only_hidden && !pf_is_in_hidden_place(stack, count))
        return 0;
    for (__u32 i = 0; i < PF_STACK_FRAMES; i++) {
        if (i >= count)
            break;
        hash = pf_mix(hash, stack->address[i]);
    }
    hash |= 1;
    if (bpf_map_lookup_elem(&pf_stacks_sent, &hash))
        return hash;
    stack->kind = PF_KERNEL_STACK;
    stack->end = count < PF_STACK_FRAMES ? PF_STACK_WHOLE : PF_STACK_DEPTH;
    stack->frames = count;
    stack->tgid = 0;
    stack->ts_ns = now;
    stack->hash = hash;
    if (count > PF_STACK_FRAMES)
        return 0;
    if (bpf_ringbuf_output(&pf_ring, stack, offsetof(struct pf_stack, address) + count * sizeof(__u64),
                           pf_ring_flags())) {
        pf_count_drop(&pf_drops.stacks);
        return hash;
    }
    bpf_map_update_elem(&pf_stacks_sent, &hash, &one, BPF_ANY);
    return hash;
}

#if defined(__TARGET_ARCH_x86)
#define PF_SYSTEM_CALL(regs) ((__s32)(regs)->orig_rax)
#else
#define PF_SYSTEM_CALL(regs) BPF_CORE_READ((struct pt_regs___call *)(regs), syscallno)
#endif

/* The system call that a task is in, by what it left of its registers. */
static __always_inline __s32 pf_call_of(struct task_struct *task) {
    struct pt_regs *regs;

    if (!pf_task_pt_regs || !pf_task_storage || task->flags & (PF_TASK_IO_WORKER | PF_TASK_USER_WORKER))
        return -1;
    regs = (struct pt_regs *)bpf_task_pt_regs(task);
    return PF_SYSTEM_CALL(regs);
}

/* Whether a sleep outside of faults is worth a look. */
static __always_inline bool pf_may_be_hidden(long run_state, __s32 call) {
    if (run_state & PF_TASK_UNINTERRUPTIBLE)
        return true;
    return call >= 0 && call < 512 && pf_hidden_calls[call >> 6] >> (call & 63) & 1;
}

/* The task blocks: for which of its faults, and where? The innermost one is the last that entered, which an
 * open fault that nobody will complete is not. */
static __always_inline void pf_fall_asleep(void *ctx, struct pf_task *state, struct task_struct *task,
                                           long run_state, __u64 now) {
    __u64 newest = 0;
    __u8 slot = 0;
    __s32 call;

#pragma clang loop unroll(full)
    for (int i = 0; i < PF_SLOTS; i++) {
        if (pf_minor_unseen && state->more[i].counted != task->maj_flt + task->min_flt)
            continue;
        if (state->open[i].state == PF_OPEN && state->open[i].ts_ns > newest) {
            newest = state->open[i].ts_ns;
            slot = i + 1;
        }
    }
    state->asleep_in = slot;
    if (slot == PF_SLOT_GUP + 1)
        state->reads.number = pf_call_of(task);
    if (slot) {
        state->asleep_at = pf_send_kernel_stack(ctx, now, false);
        return;
    }
    if (!pf_hidden_places_used || !pf_recording)
        return;
    call = pf_call_of(task);
    if (!pf_may_be_hidden(run_state, call))
        return;
    state->asleep_at = pf_send_kernel_stack(ctx, now, true);
    if (state->asleep_at)
        state->reads.number = call;
    state->asleep_in = state->asleep_at ? PF_ASLEEP_HIDDEN : 0;
}

static __always_inline void pf_send_hidden_wait(struct task_struct *task, const struct pf_call *call,
                                                __u64 begin, __u64 waited, __u64 sleep) {
    struct pf_hidden_wait wait = {
        .kind = PF_HIDDEN_WAIT,
        .call = call->number,
        .ts_ns = begin,
        .wait_ns = waited,
        .sleep = sleep,
        .inode = call->inode,
        .dev = call->dev,
        .tgid = PF_TASK(task, tgid),
        .tid = PF_TASK(task, pid),
    };

    if (pf_recording && bpf_ringbuf_output(&pf_ring, &wait, sizeof(wait), pf_ring_flags()))
        pf_count_drop(&pf_drops.stacks);
}

/* It goes on. */
static __always_inline void pf_tell_hidden_wait(struct pf_task *state, struct task_struct *task, __u64 now) {
    state->asleep_in = 0;
    pf_send_hidden_wait(task, &state->reads, state->off_since_ns, now - state->off_since_ns,
                        state->asleep_at);
}

/* A fault of get_user_pages that is open for ever: when it was to be tried again, the page was there, and no
 * fault is counted. */
static __always_inline void pf_give_up_hidden(struct pf_task *state, struct task_struct *task) {
    struct pf_open *open = &state->open[PF_SLOT_GUP];
    const struct pf_seen *seen = &state->more[PF_SLOT_GUP].seen;

    if (!pf_causes || open->state != PF_OPEN)
        return;
    open->state = PF_CLOSED;
    if (pf_hidden_places_used && seen->longest_ns)
        pf_send_hidden_wait(task, &state->slept, open->ts_ns, seen->longest_ns, seen->sleep);
}

static __always_inline void pf_awake(struct pf_task *state, __u64 slept) {
#pragma clang loop unroll(full)
    for (int i = 0; i < PF_SLOTS; i++) {
        struct pf_seen *seen = &state->more[i].seen;

        if (state->asleep_in != i + 1 || slept < seen->longest_ns)
            continue;
        seen->longest_ns = slept;
        seen->sleep = state->asleep_at;
    }
    if (state->asleep_in == PF_SLOT_GUP + 1)
        state->slept = state->reads;
    state->asleep_in = 0;
}

/* --- what it brought into the page cache ------------------------------------------------------------- */

/* Pages of a folio, of which the first is here. It was called a page up to 5.15, where the page cache of
 * files had single ones. */
static __always_inline __u32 pf_pages_of(struct folio *folio) {
    unsigned long flags;
    __u8 order = 0;

    if (!bpf_core_type_exists(struct folio) || !bpf_core_enum_value_exists(enum pageflags, PG_head))
        return 1;
    if (bpf_core_field_exists(struct folio, flags))
        flags = BPF_CORE_READ(folio, flags);
    else /* 6.18 */
        flags = BPF_CORE_READ((struct folio___memdesc *)folio, flags.f);
    if (!(flags >> bpf_core_enum_value(enum pageflags, PG_head) & 1))
        return 1;
    if (bpf_core_field_exists(struct folio, _folio_order)) { /* 6.1 to 6.5 */
        order = BPF_CORE_READ(folio, _folio_order);
    } else if (bpf_core_field_exists(struct folio, _flags_1)) {
        order = BPF_CORE_READ(folio, _flags_1) & 0xff;
    } else if (bpf_core_field_exists(struct page, compound_order)) { /* 5.16 to 6.0: in its second page */
        struct page *second = (void *)folio + bpf_core_type_size(struct page);

        order = BPF_CORE_READ(second, compound_order);
    }
    return order < 32 ? 1U << order : 1;
}

SEC("tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(pf_page_added, struct folio *folio) {
    struct pf_task *state = pf_state_of_current(pf_current());
    struct inode *inode;
    __u64 first;

    if (!state)
        return 0;
    if (bpf_core_type_exists(struct folio)) {
        inode = BPF_CORE_READ(folio, mapping, host);
        first = BPF_CORE_READ(folio, index);
    } else {
        inode = BPF_CORE_READ((struct page *)(void *)folio, mapping, host);
        first = BPF_CORE_READ((struct page *)(void *)folio, index);
    }
    /* What a file system reads for itself is in no file. */
    if ((BPF_CORE_READ(inode, i_mode) & PF_FILE_TYPE) != PF_REGULAR_FILE)
        return 0;
    state->added += pf_pages_of(folio);
    if (first < state->first)
        state->first = first;
    if (state->open[PF_SLOT_USER].state != PF_OPEN && state->open[PF_SLOT_KERNEL].state != PF_OPEN) {
        state->reads.inode = BPF_CORE_READ(inode, i_ino);
        state->reads.dev = BPF_CORE_READ(inode, i_sb, s_dev);
    }
    return 0;
}

/* --- the way of a fault ------------------------------------------------------------------------------ */

static __always_inline void pf_begin_seeing(struct pf_task *state, struct pf_seen *seen) {
    seen->sleep = 0;
    seen->longest_ns = 0;
    seen->added = state->added;
    state->first = PF_NO_PAGE;
    state->reads.inode = 0;
}

/* An attempt ends, and another one may follow: `kept` gets what was added, not from where it counts. */
static __always_inline void pf_keep_seen(struct pf_seen *kept, const struct pf_task *state,
                                         const struct pf_seen *seen) {
    kept->sleep = seen->sleep;
    kept->longest_ns = seen->longest_ns;
    kept->added = state->added - seen->added;
    kept->first = state->first;
}

static __always_inline void pf_go_on_seeing(struct pf_seen *seen, struct pf_task *state,
                                            const struct pf_seen *kept) {
    seen->sleep = kept->sleep;
    seen->longest_ns = kept->longest_ns;
    seen->added = state->added - kept->added;
    state->first = kept->first;
}

/* `first`: PF_NO_PAGE where none was added, or a fault inside this one came between. */
static __always_inline void pf_fill_cause(struct pf_cause *to, const struct pf_seen *seen, __u32 added,
                                          __u64 first) {
    to->sleep = seen->sleep;
    to->first = first;
    to->added = added;
    to->witnesses = PF_WITNESS_SLEEP | (pf_additions ? PF_WITNESS_ADDED : 0) |
                    (pf_additions && first != PF_NO_PAGE ? PF_WITNESS_FIRST : 0);
}

#endif
