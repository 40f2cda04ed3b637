/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Counting in the kernel. A thread takes a slot at its first counted fault and keeps it until it ends; the
 * recorder reads it once more then, and offers it again. No atomic operation here returns a value, which
 * kernels before 5.12 do not have.
 */
#ifndef PF_LIVE_H
#define PF_LIVE_H

/* Offers that are tried before a fault goes to the slot of its CPU. */
#define PF_LIVE_TRIES 4

/*
 * Two that try at the same time can both fail, and never both succeed: whoever reads 1 after adding to it was
 * the only one until then. A failed try leaves the slot to the recorder, which offers it again.
 */
static __always_inline bool pf_live_claim(__u32 index) {
    struct pf_live_door *door = bpf_map_lookup_elem(&pf_live_doors, &index);

    if (!door)
        return false;
    __sync_fetch_and_add(&door->claims, 1);
    if (*(volatile __u32 *)&door->claims == 1)
        return true;
    __sync_fetch_and_add(&door->claims, -1);
    return false;
}

/* The index of a free slot + 1, or 0. */
static __always_inline __u32 pf_live_find(void) {
    __u32 zero = 0;
    struct pf_live_ends *ends = bpf_map_lookup_elem(&pf_live_ends, &zero);
    __u64 at;

    if (!ends)
        return 0;
    at = *(volatile __u64 *)&ends->tail;
    for (int i = 0; i < PF_LIVE_TRIES; i++, at++) {
        __u32 key = at & (pf_live_ring_slots - 1);
        __u64 *offer;

        if (at >= *(volatile __u64 *)&ends->head)
            return 0;
        offer = bpf_map_lookup_elem(&pf_live_ring, &key);
        if (!offer)
            return 0;
        __sync_fetch_and_add(&ends->tail, 1);
        if (pf_live_claim(*offer))
            return (__u32)*offer + 1;
    }
    return 0;
}

static __always_inline void pf_live_name(struct pf_live_slot *slot, struct task_struct *task) {
    if (pf_task_storage) {
        __u64 *comm = (__u64 *)task->comm;

        ((__u64 *)slot->comm)[0] = comm[0];
        ((__u64 *)slot->comm)[1] = comm[1];
    } else {
        bpf_get_current_comm(slot->comm, sizeof(slot->comm));
    }
}

/* The slot of a task; NULL where it has none. */
static __always_inline struct pf_live_slot *pf_live_own(__u32 live_slot) {
    __u32 key = live_slot - 1;

    return bpf_map_lookup_elem(&pf_live_slots, &key);
}

static __always_inline struct pf_live_slot *pf_live_of_cpu(void) {
    __u32 cpu = bpf_get_smp_processor_id();
    __u32 key = pf_live_room + (cpu < pf_live_cpus ? cpu : 0);

    return bpf_map_lookup_elem(&pf_live_slots, &key);
}

static __always_inline struct pf_live_slot *pf_live_take(struct pf_task *state, struct task_struct *task,
                                                         __u64 since_ns) {
    struct pf_live_slot *slot;

    state->live_slot = pf_live_find();
    slot = pf_live_own(state->live_slot);
    if (!slot)
        return NULL;
    state->live_counts = (struct pf_live_counts){};
    slot->tgid = PF_TASK(task, tgid);
    slot->since_ns = since_ns;
    slot->maj_flt_from = state->live.majors;
    slot->min_flt_from = state->live.minors;
    return slot;
}

/* The highest bit of a byte. BPF has no instruction for it, and a search by halves guesses its branches
 * wrong. */
/* clang-format off */
static const __u8 pf_live_power[256] = {
#define PF_TIMES16(n) n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n
    0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, /* 0 to 15 */
    PF_TIMES16(4),
    PF_TIMES16(5), PF_TIMES16(5),
    PF_TIMES16(6), PF_TIMES16(6), PF_TIMES16(6), PF_TIMES16(6),
    PF_TIMES16(7), PF_TIMES16(7), PF_TIMES16(7), PF_TIMES16(7),
    PF_TIMES16(7), PF_TIMES16(7), PF_TIMES16(7), PF_TIMES16(7),
#undef PF_TIMES16
};
/* clang-format on */

static __always_inline __u64 pf_live_bucket(__u64 ns) {
    __u64 rest = ns >> PF_LIVE_LOW_BIT;
    __u64 power = 0, bucket;

    if (!rest)
        return 0;
    /* Most faults are done before the first of these. */
    if (rest > 0xff) {
        if (rest > 0xffffffff)
            return PF_LIVE_BUCKETS - 1;
#pragma clang loop unroll(full)
        for (int i = 0; i < 3; i++) {
            if (rest > 0xff) {
                rest >>= 8;
                power += 8;
            }
        }
    }
    power += pf_live_power[rest & 0xff];
    bucket = (power << PF_LIVE_CUT_BITS) +
             ((ns >> (power + PF_LIVE_LOW_BIT - PF_LIVE_CUT_BITS)) & ((1 << PF_LIVE_CUT_BITS) - 1));
    if (bucket > PF_LIVE_BUCKETS - 1)
        bucket = PF_LIVE_BUCKETS - 1;
    /* The register that the caller compares must be the one it adds, or the verifier of 6.1 knows no bound.
     */
    asm volatile("" : "+r"(bucket));
    return bucket;
}

/* A fault of the command before its exec is none of the command's. */
static __always_inline bool pf_live_is_before(struct pf_task *state, struct task_struct *task, bool major,
                                              bool failed) {
    if (PF_TASK(task, self_exec_id) != pf_held_exec_id) {
        state->live_slot = PF_LIVE_NONE;
        return false;
    }
    if (failed)
        return true;
    if (major)
        pf_live_before.majors++;
    else
        pf_live_before.minors++;
    return true;
}

/*
 * From where the kernel's counters of a task are followed: from before what is now to be told of it for the
 * first time, `majors` and `minors` of its own and whatever went untold before. The class of that nobody
 * knows; it is taken as minor as far as there are any.
 */
static __always_inline void pf_live_begin(struct pf_task *state, struct task_struct *task, bool majors,
                                          bool minors) {
    struct pf_live_account *account = &state->live;
    __u64 unseen, before, of_minors;

    if (account->begun)
        return;
    account->begun = 1;
    unseen = (__u64)(state->hidden - account->hidden) + (state->lost - account->lost) +
             (state->filtered - account->filtered);
    before = PF_TASK(task, min_flt) - minors;
    of_minors = unseen < before ? unseen : before;
    account->minors = before - of_minors;
    account->majors = PF_TASK(task, maj_flt) - majors - (unseen - of_minors);
}

/* What slots were not told yet, is told now. */
static __always_inline void pf_live_told(struct pf_task *state) {
    struct pf_live_account *account = &state->live;

    if (pf_unrecorded) {
        state->hidden = state->lost = state->filtered = 0;
        return;
    }
    account->hidden = state->hidden;
    account->lost = state->lost;
    account->filtered = state->filtered;
}

/* What a slot is told of the kernel's counters, and of faults that it does not hold. */
static __always_inline void pf_live_tell(struct pf_live_slot *slot, struct pf_task *state,
                                         struct task_struct *task) {
    struct pf_live_account *account = &state->live;

    slot->maj_flt = PF_TASK(task, maj_flt);
    slot->min_flt = PF_TASK(task, min_flt);
    if (pf_unrecorded && !(state->hidden | state->lost | state->filtered))
        return;
    slot->hidden += state->hidden - account->hidden;
    slot->lost += state->lost - account->lost;
    slot->filtered += state->filtered - account->filtered;
    pf_live_told(state);
}

/* The same for a slot with many writers. */
static __always_inline void pf_live_tell_cpu(struct pf_live_slot *slot, struct pf_task *state,
                                             struct task_struct *task) {
    struct pf_live_account *account = &state->live;
    __u64 majors = PF_TASK(task, maj_flt), minors = PF_TASK(task, min_flt);

    __sync_fetch_and_add(&slot->maj_flt, majors - account->majors);
    __sync_fetch_and_add(&slot->min_flt, minors - account->minors);
    __sync_fetch_and_add(&slot->hidden, (__u64)(state->hidden - account->hidden));
    __sync_fetch_and_add(&slot->lost, (__u64)(state->lost - account->lost));
    __sync_fetch_and_add(&slot->filtered, (__u64)(state->filtered - account->filtered));
    account->majors = majors;
    account->minors = minors;
    pf_live_told(state);
}

static __always_inline void pf_live_count_cpu(struct pf_task *state, struct task_struct *task, bool major,
                                              bool failed, __u64 latency_ns) {
    struct pf_live_account *account = &state->live;
    struct pf_live_slot *slot = pf_live_of_cpu();
    __u64 bucket;

    if (!slot)
        return;
    if (!account->crowded && state->live_slot != PF_LIVE_ENDED) {
        account->crowded = 1;
        __sync_fetch_and_add(&slot->crowded, 1);
    }
    bucket = pf_live_bucket(latency_ns);
    if (failed)
        __sync_fetch_and_add(&slot->failed, 1);
    else if (major)
        __sync_fetch_and_add(&slot->majors, 1);
    else
        __sync_fetch_and_add(&slot->minors, 1);
    __sync_fetch_and_add(&slot->total_ns, latency_ns);
    if (bucket < PF_LIVE_BUCKETS)
        __sync_fetch_and_add(&slot->latencies[bucket], 1);
    pf_live_tell_cpu(slot, state, task);
}

/* It has a slot now, or has ended. The difference may be in the slot of another CPU; only the sum tells. */
static __always_inline void pf_live_leave_crowd(struct pf_live_account *account) {
    struct pf_live_slot *slot = account->crowded ? pf_live_of_cpu() : NULL;

    if (slot)
        __sync_fetch_and_add(&slot->crowded, -1);
    account->crowded = 0;
}

/* With --file: nobody could tell whether the fault was on it. */
static __always_inline void pf_live_lose(struct pf_task *state, struct task_struct *task) {
    struct pf_live_slot *slot = pf_live_own(state->live_slot);

    pf_count_drop(&pf_live_unplaced);
    /* A record may tell it all the same. */
    if (pf_unrecorded)
        state->lost++;
    else
        state->live.lost--;
    if (slot)
        pf_live_tell(slot, state, task);
    else if ((slot = pf_live_of_cpu())) {
        pf_live_begin(state, task, 0, 0);
        pf_live_tell_cpu(slot, state, task);
    }
}

/* Threads are often renamed after their first faults, and tasks are by an exec. */
static __always_inline bool pf_live_wants_name(struct pf_live_counts *counts) {
    __u64 count = counts->majors + counts->minors;

    return count < 64 || !(count & 15);
}

/* Counts a completed fault. To be called once what became of the fault is in `state`. */
static __always_inline void pf_live_count(struct pf_task *state, struct task_struct *task, bool major,
                                          bool failed, bool placed, __u64 ts_ns, __u64 latency_ns) {
    struct pf_live_slot *slot;
    struct pf_live_counts *counts = &state->live_counts;
    bool fresh = false, renamed = false;
    __u64 bucket;

    if (!placed && !failed) {
        pf_live_lose(state, task);
        return;
    }
    slot = pf_live_own(state->live_slot);
    if (!slot) {
        if (state->live_slot == PF_LIVE_HELD && pf_live_is_before(state, task, major, failed))
            return;
        pf_live_begin(state, task, major && !failed, !major && !failed);
        if (state->live_slot != PF_LIVE_ENDED)
            slot = pf_live_take(state, task, ts_ns);
        if (!slot) {
            pf_live_count_cpu(state, task, major, failed, latency_ns);
            return;
        }
        fresh = true;
    }
    if (pf_live_wants_name(counts)) {
        pf_live_name(slot, task);
        renamed = true;
    }
    bucket = pf_live_bucket(latency_ns);
    if (failed)
        slot->failed++;
    else if (major)
        slot->majors = ++counts->majors;
    else
        slot->minors = ++counts->minors;
    slot->total_ns = counts->total_ns += latency_ns;
    if (latency_ns > counts->max_ns)
        slot->max_ns = counts->max_ns = latency_ns;
    if (latency_ns < counts->min_ns || !counts->min_ns)
        slot->min_ns = counts->min_ns = latency_ns;
    if (bucket < PF_LIVE_BUCKETS)
        slot->latencies[bucket]++;
    pf_live_tell(slot, state, task);
    if (fresh)
        pf_live_leave_crowd(&state->live);
    /* Last, as it says that the slot is in use. After an exec from a second thread it is another one. */
    if (renamed)
        *(volatile __u32 *)&slot->tid = PF_TASK(task, pid);
}

/* The task has ended. What it still does to its memory goes to the slot of the CPU. */
static __always_inline void pf_live_end(struct pf_task *state, struct task_struct *task) {
    struct pf_live_slot *slot = pf_live_own(state->live_slot);
    __u32 key = state->live_slot - 1;

    if (slot) {
        struct pf_live_door *door = bpf_map_lookup_elem(&pf_live_doors, &key);

        pf_live_name(slot, task);
        pf_live_tell(slot, state, task);
        state->live.majors = slot->maj_flt;
        state->live.minors = slot->min_flt;
        if (door)
            pf_publish(&door->ended, 1);
    } else {
        slot = pf_live_of_cpu();
        pf_live_begin(state, task, 0, 0);
        if (slot)
            pf_live_tell_cpu(slot, state, task);
        pf_live_leave_crowd(&state->live);
    }
    state->live_slot = PF_LIVE_ENDED;
}

/* The fault is counted here, and found no room in a lane: lost to the recording only. */
static __always_inline void pf_live_keeps(struct pf_task *state) {
    state->live.lost++;
}

#endif
