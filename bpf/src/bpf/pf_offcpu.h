/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Where the time goes while a task is not running: blocked until somebody wakes it, then in the run
 * queue. Sums per task, so it does not matter which of its faults are open, or how deep.
 */
#ifndef PF_OFFCPU_H
#define PF_OFFCPU_H

static __always_inline long pf_run_state_of(struct task_struct *task) {
    if (bpf_core_field_exists(task->__state))
        return task->__state;
    return ((struct task_struct___old *)task)->state;
}

static __always_inline bool pf_is_runnable(struct task_struct *task, bool preempted) {
    return preempted || pf_run_state_of(task) == 0;
}

static __always_inline void pf_leave_cpu(void *ctx, struct task_struct *task, bool preempted, __u64 now) {
    struct pf_task *state = pf_state_of(task, task->pid);

    if (!state)
        return;
    state->off_since_ns = now;
    state->woken_ns = pf_is_runnable(task, preempted) ? now : 0;
    if (pf_causes && !state->woken_ns)
        pf_fall_asleep(ctx, state, task, pf_run_state_of(task), now);
}

static __always_inline void pf_wake_up(struct task_struct *task) {
    struct pf_task *state = pf_state_of(task, task->pid);

    if (state && state->off_since_ns && !state->woken_ns)
        state->woken_ns = bpf_ktime_get_ns();
}

static __always_inline void pf_take_cpu(struct task_struct *task, __u64 now) {
    struct pf_task *state = pf_state_of(task, task->pid);
    __u64 woken;

    if (!state || !state->off_since_ns)
        return;
    woken = state->woken_ns ? state->woken_ns : now;
    state->off.blocked_ns += woken - state->off_since_ns;
    state->off.runqueue_ns += now - woken;
    if (pf_causes && state->asleep_in == PF_ASLEEP_HIDDEN)
        pf_tell_hidden_wait(state, task, now);
    else if (pf_causes && state->asleep_in)
        pf_awake(state, woken - state->off_since_ns);
    state->off_since_ns = 0;
}

static __always_inline __u64 pf_bounded_time(__u64 ns) {
    return ns >> PF_TIME_BITS ? (1ULL << PF_TIME_BITS) - 1 : ns;
}

static __always_inline void pf_pack_times(struct pf_more *to, const struct pf_times *spent, __u64 lock_ns) {
    __u64 blocked = pf_bounded_time(spent->blocked_ns);
    __u64 runqueue = pf_bounded_time(spent->runqueue_ns);
    __u64 reclaim = pf_bounded_time(spent->reclaim_ns);
    __u64 lock = pf_bounded_time(lock_ns);

    to->times[0] = blocked | runqueue << PF_TIME_BITS;
    to->times[1] = runqueue >> (64 - PF_TIME_BITS) | reclaim << (2 * PF_TIME_BITS - 64);
    to->times[2] = reclaim >> (128 - 2 * PF_TIME_BITS) | lock << (3 * PF_TIME_BITS - 128);
}

/* Reclaim can nest: a global one inside that of a cgroup. */
static __always_inline void pf_begin_reclaim(void) {
    struct task_struct *task = pf_current();
    struct pf_task *state = pf_state_of_current(task);

    if (state && state->reclaim_depth++ == 0)
        state->reclaim_since_ns = bpf_ktime_get_ns();
}

static __always_inline void pf_end_reclaim(void) {
    struct task_struct *task = pf_current();
    struct pf_task *state = pf_state_of_current(task);

    /* It may have begun before the task was recorded. */
    if (!state || !state->reclaim_depth || --state->reclaim_depth)
        return;
    state->off.reclaim_ns += bpf_ktime_get_ns() - state->reclaim_since_ns;
}

#endif
