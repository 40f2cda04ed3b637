/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * What is kept per task and globally, and how to get at it. Shared by all backends; the programs are in
 * pfrec.bpf.c.
 */
#ifndef PF_STATE_H
#define PF_STATE_H

enum pf_open_state {
    PF_CLOSED = 0,
    PF_OPEN = 1,
    PF_FILTERED = 2, /* entered, and not asked for: counted at its completion */
};

/* Off-CPU time of a task so far; a fault takes the difference. */
struct pf_times {
    __u64 blocked_ns;
    __u64 runqueue_ns;
    __u64 reclaim_ns;
};

/* A fault that has entered and not completed: what every recording needs. */
struct pf_open {
    __u64 ts_ns;
    __u64 address;
    __u16 cpu;
    __u8 access;
    __u8 state;    /* enum pf_open_state */
    __u8 attempts; /* begun, as far as seen */
    __u8 retried;  /* ended with a retry, as far as seen */
    __u8 has_vma;
    __u8 interrupted; /* how often, up to 255 */
};

/* Witnesses of its cause so far, see pf_cause.h. */
struct pf_seen {
    __u64 sleep;      /* hash of the kernel's stack in the longest sleep */
    __u64 longest_ns; /* how long that was */
    __u64 first;      /* in a pf_left: the first page that it added to the page cache */
    __u32 added; /* the task's additions to the page cache when it entered; in a pf_left, those it made */
    __u32 pad;
};

/* And what only some do. */
struct pf_open_more {
    __u64 inode;
    __u64 file_page;
    __u32 dev;
    __u32 pad;
    __u64 lock_ns;
    __u64 outside_ns; /* since when it is not in handle_mm_fault; 0: it is */
    struct pf_times before;
    __u64 counted; /* maj_flt + min_flt when it entered: tells one in flight from one that completed unseen */
    /* Of an interrupted one. */
    __u64 between_ns; /* from the end of an attempt to the begin of the next one, in all */
    __u64 charged_ns; /* of its wait, charged to a query already */
    __u32 signal;     /* the last one that interrupted it */
    __u32 pad2;
    struct pf_seen seen;
};

#define PF_PAGE_MASK (~4095ULL)

#define PF_LEFTS 4

/* An access whose attempt was interrupted, and which has not been tried again. */
struct pf_left {
    __u64 ts_ns; /* the first attempt entered; 0: not in use */
    __u64 waited_ns;
    __u64 address;
    __u64 ip; /* 0: the kernel does not tell */
    __u64 inode;
    __u64 file_page;
    __u64 lock_ns;
    struct pf_times spent;
    struct pf_seen seen;
    __u32 dev;
    __u32 signal;
    __u16 cpu;
    __u8 access;
    __u8 attempts;
    __u8 retried;
    __u8 has_vma;
    __u8 interrupted;
    __u8 pad;
};

/*
 * Three slots, because a user fault in progress can meet a kernel fault that fails at once (a no-fault
 * copy inside the handler), which must not overwrite it, and faults taken for get_user_pages know
 * no entry. Faults of one kind do not nest.
 */
enum pf_slot {
    PF_SLOT_USER = 0,
    PF_SLOT_KERNEL = 1,
    PF_SLOT_GUP = 2,
    PF_SLOTS = 3,
};

/* What a task does in a system call, since its last fault. */
struct pf_call {
    __u64 inode; /* of the file that it added to last; 0: none */
    __u32 dev;
    __s32 number; /* of the system call, when it fell asleep in get_user_pages */
};

#define PF_NO_PAGE (~0ULL)
#define PF_ASLEEP_HIDDEN (PF_SLOTS + 1)

/* A mapping that faults were in, see pf_vma.h. */
struct pf_mapping {
    __u64 start;
    __u64 end;
    __u64 pgoff;
    __u64 inode;
    __u64 changed; /* pf_mappings_changed when it was looked at */
    __u32 dev;
    __u32 valid;
};

/*
 * In the order of use: task storage begins 8 bytes into a cache line that its look-up has read already, so a
 * user fault touches no other one; the next one is that of kernel faults, and then comes what is counted.
 */
struct pf_task {
    __u32 counted; /* low half of pf_count_of up to which hidden is known */
    __u32 majors;  /* likewise, of maj_flt */
    __u32 lost;    /* not yet told, as the next two */
    __u32 hidden;
    __u32 filtered;
    __u8 entered;    /* an entry was seen, or the task began during the recording */
    __u8 queried;    /* a query began: there is a stack of queries to look at */
    __u8 walking;    /* its stack is being walked: faults met there are not the task's */
    __u8 lefts;      /* interrupted accesses in `left` */
    __u32 skip;      /* minors to leave out before the next one, with pf_sample */
    __u32 live_slot; /* its index + 1, or enum pf_live_special */
    struct pf_open open[PF_SLOTS];
    __u64 minors; /* with pf_major_only: min_flt up to which filtered is known */
    __u32 reclaim_depth;
    __u32 in_cgroup; /* the verdict on css_set */
    struct pf_live_counts live_counts;
    struct pf_live_account live;
    struct pf_open_more more[PF_SLOTS];
    __u64 css_set;
    struct pf_times off;
    __u64 off_since_ns; /* when it left the CPU; 0: it is on it */
    __u64 woken_ns;     /* when it became runnable; 0: not yet */
    struct pf_mapping mapping;
    __u64 reclaim_since_ns;
    __u32 left_next; /* which to give up for another one */
    __u32 ended;     /* its end was told */
    struct pf_left left[PF_LEFTS];
    __u64 asleep_at;      /* hash of the kernel's stack there */
    __u32 asleep_in;      /* slot + 1 of the fault that it sleeps in, or PF_ASLEEP_HIDDEN; 0: it does not */
    __u32 added;          /* pages of files that it added to the page cache */
    __u64 first;          /* since its last fault entered, the first page in the file; PF_NO_PAGE: none */
    struct pf_call reads; /* what it does outside of faults */
    struct pf_call slept; /* the same when its last sleep in PF_SLOT_GUP was over */
};

_Static_assert(__builtin_offsetof(struct pf_task, open[PF_SLOT_KERNEL]) == 64 - 8,
               "a user fault needs one line");
_Static_assert(__builtin_offsetof(struct pf_task, live_counts) == 128 - 8, "counting begins a line");

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct pf_task);
} pf_tasks SEC(".maps");

/* Instead of pf_tasks before 5.12, by thread number. Preallocated, as perf_event programs of that
 * time want it. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 32768);
    __type(key, __u32);
    __type(value, struct pf_task);
} pf_tasks_by_tid SEC(".maps");

/* Processes to record, filled before the probes are attached and not touched afterwards. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, __u32);
    __type(value, __u8);
} pf_roots SEC(".maps");

const volatile __u32 pf_target = PF_TARGET_ALL;
const volatile __u32 pf_self_tgid;
const volatile __u32 pf_held; /* the child that is to become the command; 0: none */
const volatile __u8 pf_task_storage = true;
const volatile __u8 pf_major_only;
const volatile __u8 pf_breakdown;
const volatile __u8 pf_causes; /* with pf_breakdown */
/* Whether every entry is met by a completion: not so where only major ones are told. */
const volatile __u8 pf_minor_unseen;
const volatile __u32 pf_page_shift = 12;

/*
 * Set when every probe is attached, cleared before the first is detached: a fault is recorded if it
 * entered in between.
 */
__u32 pf_recording;
struct pf_drops pf_drops;
__u64 pf_hidden_majors; /* of what is hidden */
__u64 pf_missed;        /* faults that completed, and no program met that; they are among the hidden ones */
__u64 pf_missed_open;   /* the same, found by the task iterator at the end */
__u64 pf_without_state; /* times that a task to be recorded could not be given its state */
__u64 pf_held_exec_id;  /* self_exec_id of pf_held before it became the command */
/* Filled by the task iterator at the end. */
__u64 pf_in_flight;
__u64 pf_minors_left; /* with pf_major_only: filtered ones that no record tells of */

static __always_inline void pf_count_drop(__u64 *drop) {
    __sync_fetch_and_add(drop, 1);
}

/* A field of a task: read directly where the kernel hands out typed pointers to the current task (5.11). */
#define PF_TASK(task, field) (pf_task_storage ? (task)->field : BPF_CORE_READ(task, field))

static __always_inline struct task_struct *pf_current(void) {
    return pf_task_storage ? bpf_get_current_task_btf() : (struct task_struct *)bpf_get_current_task();
}

/* Faults that tell of themselves, as the kernel counts them. */
static __always_inline __u64 pf_count_of(struct task_struct *task) {
    __u64 majors = PF_TASK(task, maj_flt);

    return pf_major_only ? majors : majors + PF_TASK(task, min_flt);
}

/* `tid` is that of `task`: without task storage the task itself is of no use. */
static __always_inline struct pf_task *pf_state_of(struct task_struct *task, __u32 tid) {
    if (pf_task_storage)
        return bpf_task_storage_get(&pf_tasks, task, 0, 0);
    return bpf_map_lookup_elem(&pf_tasks_by_tid, &tid);
}

static __always_inline struct pf_task *pf_state_of_current(struct task_struct *task) {
    return pf_state_of(task, pf_task_storage ? 0 : (__u32)bpf_get_current_pid_tgid());
}

static __always_inline struct pf_task *pf_create_state(struct task_struct *task, __u32 tid) {
    static const struct pf_task empty;

    if (pf_task_storage)
        return bpf_task_storage_get(&pf_tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    bpf_map_update_elem(&pf_tasks_by_tid, &tid, &empty, BPF_ANY);
    return bpf_map_lookup_elem(&pf_tasks_by_tid, &tid);
}

/* What the task did before is none of the recording's business. */
static __always_inline void pf_begin_counts(struct pf_task *state, struct task_struct *task) {
    state->counted = pf_count_of(task);
    state->majors = PF_TASK(task, maj_flt);
    if (pf_major_only)
        state->minors = PF_TASK(task, min_flt);
    /* Until it is asked at the next entry: only who is in the cgroup, or is forked there, gets here. */
    state->in_cgroup = pf_target == PF_TARGET_CGROUP;
    state->lost = 0;
    state->hidden = 0;
    state->filtered = 0;
    /* Threads of the command have the number, too: the child itself is marked before the start. It sleeps in
     * a read, so it is in no fault. */
    if (pf_held && !pf_recording && (__u32)PF_TASK(task, tgid) == pf_held) {
        state->entered = 1;
        pf_held_exec_id = PF_TASK(task, self_exec_id);
        if (pf_live)
            state->live_slot = PF_LIVE_HELD;
    }
}

/*
 * Gives a task its state, which is what makes it recorded. NULL when the kernel has no memory for it, or when
 * a task that is making one was preempted on this CPU; whoever meets the task next tries again.
 */
static __always_inline struct pf_task *pf_adopt(struct task_struct *task, __u32 tid) {
    struct pf_task *state = NULL;

    if (!pf_inject(pf_refuse_states, &pf_injected_states))
        state = pf_create_state(task, tid);
    if (!state) {
        pf_count_drop(&pf_without_state);
        return NULL;
    }
    pf_begin_counts(state, task);
    return state;
}

/*
 * `hidden` faults were counted and no completion was met: of get_user_pages, unless a fault is open that can
 * only have completed, as others came after it. `done` is the slot that completes now, PF_SLOTS: none.
 */
static __always_inline void pf_find_missed(struct pf_task *state, __u32 hidden, __u32 done) {
    for (__u32 slot = 0; slot < PF_SLOT_GUP; slot++) {
        if (slot == done || state->open[slot].state == PF_CLOSED || !hidden)
            continue;
        state->open[slot].state = PF_CLOSED;
        pf_count_drop(&pf_missed);
        hidden--;
    }
}

/* Enters what the kernel counted since the last completion; that of `done`, if there is one, is told or
 * counted elsewhere. */
static __always_inline void pf_catch_up(struct pf_task *state, struct task_struct *task, bool own, bool major,
                                        __u32 done) {
    __u32 counted = pf_count_of(task), majors = PF_TASK(task, maj_flt);
    __u32 hidden = counted - state->counted - own, hidden_majors = majors - state->majors - (own && major);

    state->counted = counted;
    state->majors = majors;
    if (hidden) {
        state->hidden += hidden;
        if (hidden_majors)
            __sync_fetch_and_add(&pf_hidden_majors, (__u64)hidden_majors);
        if (!pf_minor_unseen)
            pf_find_missed(state, hidden, done);
    }
    if (pf_major_only) {
        __u64 minors = PF_TASK(task, min_flt);

        state->filtered += minors - state->minors;
        state->minors = minors;
    }
}

/* What goes into a record is told; the next one counts from here. */
static __always_inline void pf_tell_counts(struct pf_task_counts *counts, struct task_struct *task,
                                           struct pf_task *state) {
    counts->maj_flt = PF_TASK(task, maj_flt);
    counts->min_flt = PF_TASK(task, min_flt);
    counts->lost = state->lost;
    counts->hidden = state->hidden;
    state->lost = 0;
    state->hidden = 0;
    state->filtered = 0; /* read by the caller */
    if (pf_live)
        state->live.hidden = state->live.lost = state->live.filtered = 0;
}

#endif
