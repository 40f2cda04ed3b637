/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * What is recorded: which tasks, and which of their faults. A fault that is not asked for is counted as
 * filtered, so the books still balance.
 */
#ifndef PF_FILTER_H
#define PF_FILTER_H

#define PF_ANCESTORS 64
#define PF_CGROUP_DEPTH 32
#define PF_RANGES 16
#define PF_ANY_UID (~0U)
#define PF_CGROUP_V2 (~0U)

struct pf_range {
    __u64 start;
    __u64 end;
};

const volatile __u64 pf_cgroup_id;
const volatile __u32 pf_cgroup_subsys = PF_CGROUP_V2; /* which hierarchy of version 1 */
const volatile __u32 pf_uid = PF_ANY_UID;
const volatile __u8 pf_by_comm;
const volatile __u64 pf_comm_step[256];
const volatile __u64 pf_comm_stay[4];
const volatile __u64 pf_comm_start;
const volatile __u64 pf_comm_accept;
const volatile __u32 pf_ranges_used;
const volatile struct pf_range pf_ranges[PF_RANGES];
const volatile __u64 pf_min_latency_ns;
const volatile __u32 pf_sample = 1;
const volatile __u8 pf_by_file;
const volatile __u64 pf_file_inode;
const volatile __u32 pf_file_dev;

static __always_inline int pf_is_root(__u32 tgid) {
    return bpf_map_lookup_elem(&pf_roots, &tgid) != NULL;
}

/* Rarely asked, hence all reads are of the kind that every kernel takes. */
static __always_inline bool pf_in_cgroup(struct css_set *set) {
    struct cgroup_subsys_state *css = NULL;

    if (pf_cgroup_subsys == PF_CGROUP_V2) {
        struct cgroup *cgroup = BPF_CORE_READ(set, dfl_cgrp);

        if (BPF_CORE_READ(cgroup, kn, id) == pf_cgroup_id)
            return true;
        css = BPF_CORE_READ(cgroup, self.parent);
    } else {
        bpf_core_read(&css, sizeof(css), &set->subsys[pf_cgroup_subsys & 15]);
    }
    for (int i = 0; i < PF_CGROUP_DEPTH && css; i++) {
        if (BPF_CORE_READ(css, cgroup, kn, id) == pf_cgroup_id)
            return true;
        css = BPF_CORE_READ(css, parent);
    }
    return false;
}

/* For a task that existed before the recording: is it, or an ancestor of it, one of the roots? `task` is a
 * typed pointer. */
static __always_inline bool pf_is_wanted(struct task_struct *task) {
    if ((__u32)task->tgid == pf_self_tgid)
        return false;
    if (pf_target == PF_TARGET_ALL)
        return true;
    if (pf_target == PF_TARGET_CGROUP)
        return pf_in_cgroup(task->cgroups);
    if (pf_is_root(task->tgid))
        return true;
    if (pf_target == PF_TARGET_PIDS)
        return false;
    /* Where reads are direct, verifiers take 1 ms for each turn. */
    for (int i = 0; i < PF_ANCESTORS && task; i++) {
        struct task_struct *parent = BPF_CORE_READ(task, real_parent);

        if (!parent || parent == task)
            break;
        if (pf_is_root(BPF_CORE_READ(parent, tgid)))
            return true;
        task = parent;
    }
    return false;
}

/* Tasks named by number are marked before the recording starts, and their children at fork: a number may
 * belong to somebody else later. All others are met at their first fault. */
static __always_inline bool pf_met_at_fault(void) {
    return pf_target == PF_TARGET_ALL || pf_target == PF_TARGET_CGROUP;
}

/*
 * Threads that the kernel makes in a process for itself, as io_uring does: no fork tells of them. Their
 * process is recorded if its first thread is.
 */
static __always_inline struct pf_task *pf_adopt_worker(struct task_struct *task) {
    __u64 pid_tgid;

    if (!(PF_TASK(task, flags) & (PF_TASK_IO_WORKER | PF_TASK_USER_WORKER)))
        return NULL;
    pid_tgid = bpf_get_current_pid_tgid();
    if (!pf_state_of(PF_TASK(task, group_leader), pid_tgid >> 32))
        return NULL;
    return pf_adopt(task, pid_tgid);
}

/* Whether a task without a state has none only because it could not be made. */
static __always_inline bool pf_is_without_state(struct task_struct *task) {
    struct task_struct *parent;
    __u32 tgid;

    /* Asked at each fault of whoever is not recorded: nearly always this is all. */
    if (!pf_without_state)
        return false;
    tgid = bpf_get_current_pid_tgid() >> 32;
    if (tgid == pf_self_tgid)
        return false;
    if (pf_target == PF_TARGET_ALL)
        return true;
    if (pf_target == PF_TARGET_CGROUP)
        return pf_in_cgroup(PF_TASK(task, cgroups));
    if (pf_is_root(tgid) || pf_state_of(PF_TASK(task, group_leader), tgid))
        return true;
    parent = PF_TASK(task, real_parent);
    return pf_target != PF_TARGET_PIDS && parent && pf_state_of(parent, BPF_CORE_READ(parent, pid));
}

/* The state of the current task if it is recorded; else NULL. */
static __always_inline struct pf_task *pf_recorded(struct task_struct *task) {
    struct pf_task *state = pf_state_of_current(task);
    __u64 pid_tgid;

    if (state)
        return state;
    if (!pf_met_at_fault())
        return pf_is_without_state(task) ? pf_adopt(task, bpf_get_current_pid_tgid()) : pf_adopt_worker(task);
    pid_tgid = bpf_get_current_pid_tgid();
    /* The recorder itself must not even allocate here. */
    if ((__u32)(pid_tgid >> 32) == pf_self_tgid)
        return NULL;
    if (pf_target == PF_TARGET_CGROUP && !pf_in_cgroup(PF_TASK(task, cgroups)))
        return NULL;
    return pf_adopt(task, pid_tgid);
}

/* Patterns with * and ? are tables by now: how much of each the name has met so far is a bit of `states`. */
static __always_inline bool pf_comm_is_wanted(void) {
    __u64 states = pf_comm_start;
    char comm[16] = {};

    bpf_get_current_comm(comm, sizeof(comm));
    for (int i = 0; i < 16; i++) {
        __u8 c = comm[i];

        if (!c)
            break;
        states = ((states & pf_comm_step[c]) << 1) | (states & pf_comm_stay[c >> 6]);
    }
    return states & pf_comm_accept;
}

static __always_inline bool pf_is_wanted_file(__u64 inode, __u32 dev) {
    return inode == pf_file_inode && dev == pf_file_dev;
}

/* What can be told when a fault enters. */
static __always_inline bool pf_entry_is_wanted(struct pf_task *state, struct task_struct *task,
                                               __u64 address) {
    if (pf_target == PF_TARGET_CGROUP) {
        struct css_set *set = PF_TASK(task, cgroups);

        if (state->css_set != (__u64)set) {
            state->css_set = (__u64)set;
            state->in_cgroup = pf_in_cgroup(set);
        }
        if (!state->in_cgroup)
            return false;
    }
    if (pf_uid != PF_ANY_UID && (__u32)bpf_get_current_uid_gid() != pf_uid)
        return false;
    if (pf_by_comm && !pf_comm_is_wanted())
        return false;
    if (pf_by_file && pf_find_vma && pf_is_in(&state->mapping, address) &&
        !pf_is_wanted_file(state->mapping.inode, state->mapping.dev))
        return false;
    if (!pf_ranges_used)
        return true;
    for (int i = 0; i < PF_RANGES; i++) {
        if (i >= pf_ranges_used)
            break;
        if (address >= pf_ranges[i].start && address < pf_ranges[i].end)
            return true;
    }
    return false;
}

/* What can be told when it completes. Failed faults are neither major nor minor: all of them are wanted. */
static __always_inline bool pf_completion_is_wanted(struct pf_task *state, bool major, bool failed,
                                                    __u64 latency_ns) {
    if (latency_ns < pf_min_latency_ns)
        return false;
    if (failed)
        return true;
    if (pf_major_only)
        return major;
    if (pf_sample <= 1 || major)
        return true;
    if (state->skip) {
        state->skip--;
        return false;
    }
    /* Uniform from 0 to 2(N-1), so N-1 on average: no rhythm of the program can beat with it. */
    state->skip = bpf_get_prandom_u32() % (2 * pf_sample - 1);
    return true;
}

#endif
