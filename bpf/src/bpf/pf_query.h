/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Queries: units of work on a thread, from a begin probe to an end probe in user code. Their stack is kept
 * apart from pf_task, because few recordings ask for it. The innermost one is charged with each fault.
 */
#ifndef PF_QUERY_H
#define PF_QUERY_H

#define PF_QUERY_DEPTH 16 /* a power of two */

const volatile __u8 pf_queries;

__u64 pf_stopped_ns; /* when the recording ended */

struct pf_open_query {
    __u64 begin_ns;
    __u64 key;
    __u64 sp; /* of the user's code where it began */
    __u32 probe;
    __u8 has_key;
    __u8 call; /* of a function: it has ended when its frame is gone */
    __u16 pad;
    struct pf_query_faults own;
    struct pf_query_faults nested;
};

struct pf_query_stack {
    __u32 depth;
    __u32 seen; /* a begin or an end was */
    __u32 tgid;
    __u32 tid;
    struct pf_open_query open[PF_QUERY_DEPTH];
};

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct pf_query_stack);
} pf_query_stacks SEC(".maps");

/* What a probe means: its number, and which arguments matter (counted from 1; 0: none). */
struct pf_query_point {
    __u32 probe;
    __u8 key;
    __u8 text;
    __u8 call; /* of a function */
};

#define PF_POINT_CALL (1ULL << 48)

static __always_inline struct pf_query_point pf_point_of(__u64 cookie) {
    struct pf_query_point point = {
        .probe = cookie, .key = cookie >> 32, .text = cookie >> 40, .call = cookie >> 48};

    return point;
}

/* Queries are counted from 1 here, the outermost one first; NULL for 0 and beyond the last. */
static __always_inline struct pf_open_query *pf_query_at(struct pf_query_stack *stack, __u64 number) {
    __u64 index = number - 1;

    if (index >= PF_QUERY_DEPTH)
        return NULL;
    /* For the verifier, which does not follow the check to where the compiler uses the number. */
    barrier_var(index);
    return &stack->open[index & (PF_QUERY_DEPTH - 1)];
}

/* Charges the innermost query of the current task; returns when it began, 0 without one. */
static __always_inline __u64 pf_charge_query(struct task_struct *task, bool major, bool failed,
                                             __u64 wait_ns) {
    struct pf_query_stack *stack = bpf_task_storage_get(&pf_query_stacks, task, 0, 0);
    struct pf_open_query *query = stack ? pf_query_at(stack, stack->depth) : NULL;

    if (!query)
        return 0;
    if (!failed) {
        query->own.majors += major;
        query->own.minors += !major;
    }
    query->own.wait_ns += wait_ns;
    return query->begin_ns;
}

/* Charges the wait of an attempt that completes nothing. */
static __always_inline void pf_charge_wait(struct task_struct *task, __u64 wait_ns) {
    struct pf_query_stack *stack = bpf_task_storage_get(&pf_query_stacks, task, 0, 0);
    struct pf_open_query *query = stack ? pf_query_at(stack, stack->depth) : NULL;

    if (query)
        query->own.wait_ns += wait_ns;
}

static __always_inline void pf_add_faults(struct pf_query_faults *to, const struct pf_query_faults *faults) {
    to->majors += faults->majors;
    to->minors += faults->minors;
    to->wait_ns += faults->wait_ns;
}

/* Loops are in global functions, so that the verifier looks at each once. */

/* Takes the innermost query off and sends it. */
__noinline int pf_pop_query(struct pf_query_stack *stack, __u32 flags) {
    struct pf_open_query *query, *around;
    struct pf_query *record;
    __u64 parent_ns = 0;

    if (!stack)
        return 0;
    query = pf_query_at(stack, stack->depth);
    around = pf_query_at(stack, (__u64)stack->depth - 1);
    if (!query)
        return 0;
    stack->depth--;
    /* Asked once: the compiler would ask for the number again, and the verifier of 6.1 not understand. */
    if (around) {
        parent_ns = around->begin_ns;
        pf_add_faults(&around->nested, &query->own);
        pf_add_faults(&around->nested, &query->nested);
    }
    if (flags & PF_QUERY_OPEN && query->begin_ns >= pf_stopped_ns)
        return 0;
    record = bpf_ringbuf_reserve(&pf_ring, sizeof(*record), 0);
    if (!record) {
        pf_count_drop(&pf_drops.queries);
        return 0;
    }
    record->kind = PF_QUERY;
    record->flags = flags | (query->has_key ? PF_QUERY_HAS_KEY : 0);
    record->pad = 0;
    record->probe = query->probe;
    record->begin_ns = query->begin_ns;
    record->end_ns = flags & PF_QUERY_OPEN ? pf_stopped_ns : bpf_ktime_get_ns();
    record->parent_ns = parent_ns;
    record->key = query->key;
    record->tgid = stack->tgid;
    record->tid = stack->tid;
    record->own = query->own;
    record->nested = query->nested;
    bpf_ringbuf_submit(record, pf_ring_flags());
    return 0;
}

/* Until `keep` are left. */
__noinline int pf_pop_queries(struct pf_query_stack *stack, __u32 keep, __u32 flags) {
    if (!stack)
        return 0;
    for (int i = 0; i < PF_QUERY_DEPTH; i++) {
        if (stack->depth <= keep)
            break;
        pf_pop_query(stack, flags);
    }
    return 0;
}

/*
 * How many of the open queries are still in progress when another one begins at `sp`. A call whose frame is
 * gone was left by longjmp or an exception; a span without a key that begins again in the same frame was
 * left by an error.
 */
__noinline int pf_alive(struct pf_query_stack *stack, __u32 probe, __u64 sp) {
    if (!stack)
        return 0;
    for (__u32 i = 0; i < PF_QUERY_DEPTH; i++) {
        struct pf_open_query *query = &stack->open[i];

        if (i >= stack->depth)
            break;
        if (sp >= query->sp && (query->call || (query->probe == probe && !query->has_key)))
            return i;
    }
    return stack->depth;
}

/* The number of the innermost query that ends here, counted from 1; 0: none. `sp`: for a call, where it
 * began; else 0. */
__noinline int pf_find_query(struct pf_query_stack *stack, __u64 cookie, __u64 sp, __u64 key) {
    struct pf_query_point point = pf_point_of(cookie);
    int found = 0;

    if (!stack)
        return 0;
    for (__u32 i = 0; i < PF_QUERY_DEPTH; i++) {
        struct pf_open_query *query = &stack->open[i];

        if (i >= stack->depth)
            break;
        if (query->probe != point.probe || query->call != (sp != 0))
            continue;
        if (sp ? query->sp == sp : !point.key || !query->has_key || query->key == key)
            found = i + 1;
    }
    return found;
}

__noinline int pf_send_text(struct pf_task *state, __u64 begin_ns, __u32 tid, __u64 address) {
    struct pf_query_text *text;
    long length;

    if (!state)
        return 0;
    text = bpf_ringbuf_reserve(&pf_ring, sizeof(*text), 0);

    if (!text) {
        pf_count_drop(&pf_drops.texts);
        return 0;
    }
    /* One more than is kept, to see whether there was more. What is not in memory cannot be read, and the
     * attempt is no fault of the task's. */
    state->walking = 1;
    length = bpf_probe_read_user_str(text->text, PF_TEXT_BYTES + 2, (void *)address);
    state->walking = 0;
    if (length <= 0) {
        pf_count_drop(&pf_drops.texts);
        bpf_ringbuf_discard(text, BPF_RB_NO_WAKEUP);
        return 0;
    }
    text->kind = PF_TEXT;
    text->cut = length == PF_TEXT_BYTES + 2;
    text->length = text->cut ? PF_TEXT_BYTES : length - 1;
    text->tid = tid;
    text->begin_ns = begin_ns;
    bpf_ringbuf_submit(text, pf_ring_flags());
    return 0;
}

/* The queries of the current task, if it is recorded. */
static __noinline struct pf_query_stack *pf_queries_of(struct task_struct *task, struct pf_task **state) {
    struct pf_query_stack *stack;

    /* Its books begin with the recording. */
    if (!pf_recording && pf_met_at_fault())
        return NULL;
    *state = pf_recorded(task);
    if (!*state)
        return NULL;
    /* Still pfrec itself. */
    if (pf_held && (__u32)task->tgid == pf_held && task->self_exec_id == pf_held_exec_id)
        return NULL;
    stack = bpf_task_storage_get(&pf_query_stacks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!stack) {
        pf_count_drop(&pf_drops.queries);
        return NULL;
    }
    stack->tgid = task->tgid;
    stack->tid = task->pid;
    return stack;
}

/*
 * With more than 48 bytes of stack, kernels give a program one stack for each CPU, and believe that nobody is
 * preempted on it. Programs on user code are: their key came from another thread. So what follows is cut into
 * functions with less.
 */

__noinline int pf_begin_query(__u64 cookie, __u64 key, __u64 text, __u64 sp) {
    struct pf_query_point point = pf_point_of(cookie);
    struct task_struct *task = bpf_get_current_task_btf();
    struct pf_task *state;
    struct pf_query_stack *stack = pf_queries_of(task, &state);
    struct pf_open_query *query;

    if (!stack)
        return 0;
    stack->seen = 1;
    pf_pop_queries(stack, pf_alive(stack, point.probe, sp), PF_QUERY_ABANDONED);
    query = pf_query_at(stack, stack->depth + 1);
    if (!query) {
        pf_count_drop(&pf_drops.deep);
        return 0;
    }
    __builtin_memset(query, 0, sizeof(*query));
    query->key = key;
    query->sp = sp;
    query->probe = point.probe;
    query->has_key = point.key != 0;
    query->call = point.call;
    query->begin_ns = bpf_ktime_get_ns();
    if (text)
        pf_send_text(state, query->begin_ns, task->pid, text);
    stack->depth++;
    state->queried = 1;
    return 0;
}

/* Told of what began before, and only once for a thread: it can have been in one only. */
static __always_inline void pf_send_unbegun(const struct pf_query_point *point, __u64 key,
                                            struct task_struct *task) {
    struct pf_query *record = bpf_ringbuf_reserve(&pf_ring, sizeof(*record), 0);

    if (!record) {
        pf_count_drop(&pf_drops.queries);
        return;
    }
    __builtin_memset(record, 0, sizeof(*record));
    record->kind = PF_QUERY;
    record->flags = PF_QUERY_UNBEGUN | (point->key ? PF_QUERY_HAS_KEY : 0);
    record->probe = point->probe;
    record->end_ns = bpf_ktime_get_ns();
    record->key = key;
    record->tgid = task->tgid;
    record->tid = task->pid;
    bpf_ringbuf_submit(record, pf_ring_flags());
}

__noinline int pf_end_query(__u64 cookie, __u64 key, __u64 sp) {
    struct task_struct *task = bpf_get_current_task_btf();
    struct pf_query_point point = pf_point_of(cookie);
    struct pf_query_stack *stack;
    struct pf_task *state;
    __u32 at;

    /* What is open when the recording ends is told as that. */
    if (!pf_recording)
        return 0;
    stack = pf_queries_of(task, &state);
    if (!stack)
        return 0;
    at = pf_find_query(stack, cookie, sp, key);
    if (at) {
        pf_pop_queries(stack, at, PF_QUERY_ABANDONED);
        pf_pop_query(stack, 0);
    } else if (!stack->seen) {
        pf_send_unbegun(&point, key, task);
    } else if (!sp) {
        pf_count_drop(&pf_drops.unmatched);
    }
    stack->seen = 1;
    return 0;
}

static __always_inline void pf_abandon_queries(struct task_struct *task) {
    struct pf_query_stack *stack;

    if (!pf_recording)
        return;
    stack = bpf_task_storage_get(&pf_query_stacks, task, 0, 0);
    if (stack)
        pf_pop_queries(stack, 0, PF_QUERY_ABANDONED);
}

/* A parameter of a function, counted from 1; 0: none. By address, since a context cannot be indexed. */
static __always_inline __u64 pf_parameter(struct pt_regs *ctx, __u8 which) {
    __u64 value = 0, at;

    switch (which) {
    case 1:
        at = offsetof(struct pt_regs, __PT_PARM1_REG);
        break;
    case 2:
        at = offsetof(struct pt_regs, __PT_PARM2_REG);
        break;
    case 3:
        at = offsetof(struct pt_regs, __PT_PARM3_REG);
        break;
    case 4:
        at = offsetof(struct pt_regs, __PT_PARM4_REG);
        break;
    case 5:
        at = offsetof(struct pt_regs, __PT_PARM5_REG);
        break;
    case 6:
        at = offsetof(struct pt_regs, __PT_PARM6_REG);
        break;
    default:
        return 0;
    }
    bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx + at);
    return value;
}

#endif
