/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * What became of each completion, counted beside the records: the recorder holds it against the kernel's own
 * count of the same events, which knows nothing of these programs. And faults of our own making, by which the
 * tests see that this check can fail.
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

/* For tests only: every Nth of these is made to go wrong; 0: none. */
const volatile __u32 pf_skip_completions; /* the program leaves at once, and tells nobody */
const volatile __u32 pf_skip_entries;     /* likewise */
const volatile __u32 pf_lose_records;     /* what was written to a lane is not announced */
const volatile __u32 pf_lose_exits;       /* the end of a thread is not sent */

struct pf_injection {
    __u64 met; /* how many could have gone wrong; not exact where CPUs compete */
    __u64 done;
};

struct pf_injection pf_injected_completions;
struct pf_injection pf_injected_entries;
struct pf_injection pf_injected_records;
struct pf_injection pf_injected_exits;

/* Whether this one goes wrong. */
static __always_inline bool pf_inject(__u32 every, struct pf_injection *injection) {
    if (!every || ++injection->met % every)
        return false;
    __sync_fetch_and_add(&injection->done, 1);
    return true;
}

#endif
