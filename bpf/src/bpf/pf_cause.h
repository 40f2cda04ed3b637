/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Witnesses of a fault's cause, with --causes: where the kernel slept for it, what it brought into the page
 * cache, and whether the page was there. Only a fault that sleeps pays for a stack: 1 to 2 us, of the 10 and
 * more that it loses by sleeping.
 */
#ifndef PF_CAUSE_H
#define PF_CAUSE_H

const volatile __u8 pf_additions; /* the kernel tells of additions to the page cache */

/* Types that only the recorder needs still have to reach its skeleton. */
const enum pf_witness *pf_unused_witness __attribute__((unused));

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

/* The kernel's stack of the task that leaves this CPU, by its hash; 0: the kernel gave none. */
static __always_inline __u64 pf_send_kernel_stack(void *ctx, __u64 now) {
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

/* The task blocks: for which of its faults, and where? The innermost one is the last that entered, which an
 * open fault that nobody will complete is not. */
static __always_inline void pf_fall_asleep(void *ctx, struct pf_task *state, __u64 now) {
    __u64 newest = 0;
    __u8 slot = 0;

#pragma clang loop unroll(full)
    for (int i = 0; i < PF_SLOTS; i++) {
        if (state->open[i].state == PF_OPEN && state->open[i].ts_ns > newest) {
            newest = state->open[i].ts_ns;
            slot = i + 1;
        }
    }
    state->asleep_in = slot;
    if (slot)
        state->asleep_at = pf_send_kernel_stack(ctx, now);
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

    if (state)
        state->added += pf_pages_of(folio);
    return 0;
}

/* --- the way of a fault ------------------------------------------------------------------------------ */

static __always_inline void pf_begin_seeing(struct pf_task *state, struct pf_seen *seen) {
    seen->sleep = 0;
    seen->longest_ns = 0;
    seen->added = state->added;
}

/* An attempt ends, and another one may follow: `kept` gets what was added, not from where it counts. */
static __always_inline void pf_keep_seen(struct pf_seen *kept, const struct pf_task *state,
                                         const struct pf_seen *seen) {
    kept->sleep = seen->sleep;
    kept->longest_ns = seen->longest_ns;
    kept->added = state->added - seen->added;
}

static __always_inline void pf_go_on_seeing(struct pf_seen *seen, const struct pf_task *state,
                                            const struct pf_seen *kept) {
    seen->sleep = kept->sleep;
    seen->longest_ns = kept->longest_ns;
    seen->added = state->added - kept->added;
}

static __always_inline void pf_fill_cause(struct pf_cause *to, const struct pf_seen *seen, __u32 added) {
    to->sleep = seen->sleep;
    to->added = added;
    to->witnesses = PF_WITNESS_SLEEP | (pf_additions ? PF_WITNESS_ADDED : 0);
}

#endif
