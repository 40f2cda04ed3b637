/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * What is kept per task and globally, and which tasks are recorded. Shared by all backends; the
 * programs are in pfrec.bpf.c.
 */
#ifndef PF_STATE_H
#define PF_STATE_H

/* A fault that has entered and not completed. */
struct pf_open {
    __u64 ts_ns;
    __u64 address;
    __u16 cpu;
    __u8 access;
    __u8 is_open;
    __u8 retries;
    __u8 any_major;
    __u8 pad[2];
};

/*
 * Two slots, because a user fault in progress can meet a kernel fault that fails at once (a
 * no-fault copy inside the handler), which must not overwrite it. User faults do not nest in user
 * faults.
 */
struct pf_task {
    struct pf_open open[2]; /* by origin: PF_ORIGIN_USER, PF_ORIGIN_KERNEL */
    __u64 counted;          /* maj_flt + min_flt up to which hidden is known */
    __u32 lost;             /* not yet told */
    __u32 hidden;           /* not yet told */
    __u32 entered;          /* an entry was seen, or the task began during the recording */
    __u32 pad;
};

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct pf_task);
} pf_tasks SEC(".maps");

/* Processes to record, filled before the probes are attached and not touched afterwards. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, __u8);
} pf_roots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 16 << 20); /* set before load */
} pf_ring SEC(".maps");

const volatile __u32 pf_target = PF_TARGET_ALL;
const volatile __u32 pf_self_tgid;
const volatile __u64 pf_wake_bytes = 4 << 20;

/*
 * Set when every probe is attached, cleared before the first is detached: a fault is recorded if it
 * entered in between.
 */
__u32 pf_recording;
struct pf_drops pf_drops;
__u64 pf_in_flight;    /* filled by the task iterator at the end */
__u32 pf_wake_pending; /* cleared by the recorder before it drains */

#define PF_ANCESTORS 64

static __always_inline __u64 pf_count_of(struct task_struct *task) {
    return (__u64)task->maj_flt + task->min_flt;
}

static __always_inline int pf_is_root(__u32 tgid) {
    return bpf_map_lookup_elem(&pf_roots, &tgid) != NULL;
}

/* For a task that existed before the recording: is it, or an ancestor of it, one of the roots? */
static __always_inline bool pf_is_wanted(struct task_struct *task) {
    if ((__u32)task->tgid == pf_self_tgid)
        return false;
    if (pf_target == PF_TARGET_ALL)
        return true;
    if (pf_is_root(task->tgid))
        return true;
    if (pf_target == PF_TARGET_PIDS)
        return false;
    for (int i = 0; i < PF_ANCESTORS && task; i++) {
        struct task_struct *parent = task->real_parent;
        if (!parent || parent == task)
            break;
        if (pf_is_root(parent->tgid))
            return true;
        task = parent;
    }
    return false;
}

/* Gives a task its state, which is what makes it recorded; NULL, and counted, when the kernel has no memory
 * for it. */
static __always_inline struct pf_task *pf_adopt(struct task_struct *task) {
    struct pf_task *state = bpf_task_storage_get(&pf_tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

    if (!state) {
        __sync_fetch_and_add(&pf_drops.state, 1);
        return NULL;
    }
    state->counted = pf_count_of(task);
    return state;
}

/*
 * The state of the current task if it is recorded; else NULL. Processes named by number are marked
 * before the recording starts, and their children at fork: a number may belong to somebody else later.
 */
static __always_inline struct pf_task *pf_recorded(struct task_struct *task) {
    struct pf_task *state = bpf_task_storage_get(&pf_tasks, task, 0, 0);

    /* The recorder itself must not even allocate here. */
    if (!state && pf_target == PF_TARGET_ALL && pf_is_wanted(task))
        state = pf_adopt(task);
    return state;
}

/* What goes into a record is told; the next one counts from here. */
static __always_inline void pf_tell_counts(struct pf_task_counts *counts, struct task_struct *task,
                                           struct pf_task *state) {
    counts->maj_flt = task->maj_flt;
    counts->min_flt = task->min_flt;
    counts->lost = state->lost;
    counts->hidden = state->hidden;
    state->lost = 0;
    state->hidden = 0;
}

/*
 * A wake-up costs the faulting thread an irq_work, so the recorder polls by the clock and is woken
 * only once per drain, when the ring fills up.
 */
static __always_inline __u64 pf_wake_flags(void) {
    if (pf_wake_pending || bpf_ringbuf_query(&pf_ring, BPF_RB_AVAIL_DATA) < pf_wake_bytes)
        return BPF_RB_NO_WAKEUP;
    pf_wake_pending = 1;
    return BPF_RB_FORCE_WAKEUP;
}

#endif
