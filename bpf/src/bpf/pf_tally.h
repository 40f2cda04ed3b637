/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * What became of each completion, counted beside the records: the recorder holds it against the kernel's own
 * count of the same events, which knows nothing of these programs.
 */
#ifndef PF_TALLY_H
#define PF_TALLY_H

/* For CPUs that came online later: written by all of them. */
struct pf_tally pf_tally_beyond;

/* The tally of this CPU; NULL where it has no lane. Programs on software events are not preempted, so it has
 * one writer at a time. */
static __always_inline struct pf_tally *pf_tally_here(void) {
    __u32 cpu = bpf_get_smp_processor_id();
    struct pf_lane_ends *ends;

    if (cpu >= pf_lane_count)
        return NULL;
    ends = bpf_map_lookup_elem(&pf_lane_ends, &cpu);
    return ends ? &ends->tally : NULL;
}

#define PF_TALLY(here, field)                                                                                \
    do {                                                                                                     \
        if (here)                                                                                            \
            (here)->field++;                                                                                 \
        else                                                                                                 \
            __sync_fetch_and_add(&pf_tally_beyond.field, 1);                                                 \
    } while (0)

#endif
