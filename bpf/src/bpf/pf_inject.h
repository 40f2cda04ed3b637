/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Faults of our own making, by which the tests see that the check of the counts can fail.
 */
#ifndef PF_INJECT_H
#define PF_INJECT_H

/* For tests only: every Nth of these is made to go wrong; 0: none. */
const volatile __u32 pf_skip_completions; /* the program leaves at once, and tells nobody */
const volatile __u32 pf_skip_entries;     /* likewise */
const volatile __u32 pf_lose_records;     /* what was written to a lane is not announced */
const volatile __u32 pf_lose_exits;       /* the end of a thread is not sent */
const volatile __u32 pf_refuse_states;    /* as if the kernel made no state for a task */

struct pf_injection {
    __u64 met; /* how many could have gone wrong; not exact where CPUs compete */
    __u64 done;
};

struct pf_injection pf_injected_completions;
struct pf_injection pf_injected_entries;
struct pf_injection pf_injected_records;
struct pf_injection pf_injected_exits;
struct pf_injection pf_injected_states;

/* Whether this one goes wrong. */
static __always_inline bool pf_inject(__u32 every, struct pf_injection *injection) {
    if (!every || ++injection->met % every)
        return false;
    __sync_fetch_and_add(&injection->done, 1);
    return true;
}

#endif
