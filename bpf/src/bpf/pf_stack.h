/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * User stacks by frame pointers. Walked here rather than by bpf_get_stack, which does not say why it
 * ended. Each distinct stack crosses once; a fault carries its hash.
 */
#ifndef PF_STACK_H
#define PF_STACK_H

const volatile __u8 pf_stacks;
const volatile __u8 pf_task_pt_regs; /* the kernel has bpf_task_pt_regs (5.15) */

/* Stacks that have been sent. When it is full, some are sent again. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 65536);
    __type(key, __u64);
    __type(value, __u8);
} pf_stacks_sent SEC(".maps");

/* Which of pf_stack_scratch: of programs on events, of those that these can preempt, and of the scheduler. */
enum pf_scratch {
    PF_SCRATCH_EVENT = 0,
    PF_SCRATCH_TASK = 1,
    PF_SCRATCH_SLEEP = 2,
};

/* Too large for the stack of a program. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2); /* one more with pf_causes: set before load */
    __type(key, __u32);
    __type(value, struct pf_stack);
} pf_stack_scratch SEC(".maps");

/* Where the user's code is: instruction and frame pointer. */
struct pf_user_place {
    __u64 ip;
    __u64 fp;
};

static __always_inline __u64 pf_mix(__u64 hash, __u64 value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio */
    return hash ^ (hash >> 32);
}

static __always_inline __u64 pf_send_stack(struct task_struct *task, const struct pf_user_place *at,
                                           __u64 ts_ns, __u32 scratch) {
    struct {
        __u64 fp;
        __u64 ip;
    } frame;
    __u32 count = 1;
    __u8 one = 1;
    struct pf_stack *stack = bpf_map_lookup_elem(&pf_stack_scratch, &scratch);
    __u64 fp = at->fp;
    /* The same addresses mean something else in another process, and after an exec. */
    __u64 hash = pf_mix(pf_mix(PF_TASK(task, tgid), PF_TASK(task, self_exec_id)), at->ip);

    if (!stack)
        return 0;
    stack->address[0] = at->ip;
    stack->end = PF_STACK_DEPTH;
    for (__u32 i = 1; i < PF_STACK_FRAMES; i++) {
        if (!fp) {
            stack->end = PF_STACK_WHOLE;
            break;
        }
        if (fp & 7) {
            stack->end = PF_STACK_GARBAGE;
            break;
        }
        if (bpf_probe_read_user(&frame, sizeof(frame), (void *)fp)) {
            /* The first pointer may be any number; later ones come from a chain that held so far. */
            stack->end = i == 1 ? PF_STACK_GARBAGE : PF_STACK_NOT_RESIDENT;
            break;
        }
        if (!frame.ip) {
            stack->end = PF_STACK_WHOLE;
            break;
        }
        /* Stacks grow down, so callers are above; all of one stack is close together. */
        if ((frame.fp && frame.fp <= fp) || frame.ip < 4096) {
            stack->end = PF_STACK_GARBAGE;
            break;
        }
        stack->address[i] = frame.ip;
        hash = pf_mix(hash, frame.ip);
        count = i + 1;
        fp = frame.fp;
    }
    hash = pf_mix(hash, stack->end) | 1;
    if (bpf_map_lookup_elem(&pf_stacks_sent, &hash))
        return hash;
    stack->kind = PF_STACK;
    stack->frames = count;
    stack->tgid = PF_TASK(task, tgid);
    stack->ts_ns = ts_ns;
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

/* `at` is in user mode or the user's code is asleep in a system call, and the kernel keeps its registers. */
static __always_inline __u64 pf_stack_of(struct task_struct *task, bool user, const struct pf_user_place *at,
                                         __u64 ts_ns, __u32 scratch) {
    struct pf_user_place place = *at;
    struct pt_regs *regs;

    if (!user) {
        if (!pf_task_pt_regs)
            return 0;
        regs = (struct pt_regs *)bpf_task_pt_regs(task);
        place.ip = PT_REGS_IP(regs);
        place.fp = PT_REGS_FP(regs);
    }
    return place.ip ? pf_send_stack(task, &place, ts_ns, scratch) : 0;
}

#endif
