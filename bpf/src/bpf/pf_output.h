/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The way out: a lane per CPU for faults, which only this CPU writes and only the recorder reads, both
 * straight from memory; and one ring for what is rare. Only programs that cannot be preempted write to a
 * lane: those on software events.
 */
#ifndef PF_OUTPUT_H
#define PF_OUTPUT_H

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20); /* set before load */
} pf_ring SEC(".maps");

/* Lane after lane, pf_lane_slots records each. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set before load */
    __type(key, __u32);
    __type(value, struct pf_fault);
} pf_lanes SEC(".maps");

/* At the same places: apart, since most faults have none, and lines left out between those that are written
 * would keep the CPU from fetching them ahead. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set before load */
    __type(key, __u32);
    __type(value, struct pf_more);
} pf_lanes_more SEC(".maps");

/* Likewise, with --causes. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set before load */
    __type(key, __u32);
    __type(value, struct pf_cause);
} pf_lanes_causes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set before load */
    __type(key, __u32);
    __type(value, struct pf_lane_ends);
} pf_lane_ends SEC(".maps");

const volatile __u32 pf_lane_count;     /* 0: every fault goes through the ring */
const volatile __u32 pf_lane_slots = 1; /* a power of two */
const volatile __u64 pf_ring_wake_bytes;

__u32 pf_wake_pending; /* cleared by the recorder before it drains */

/* The compiler, and on arm64 the CPU, must not move the record behind its announcement. */
static __always_inline void pf_publish(__u64 *head, __u64 value) {
#if defined(__TARGET_ARCH_x86)
    asm volatile("" ::: "memory");
    *(volatile __u64 *)head = value;
#else
    __sync_lock_test_and_set(head, value);
#endif
}

#include "pf_tally.h"

/*
 * A wake-up costs the faulting thread an irq_work, so the recorder polls by the clock and is woken
 * only once per drain, when three quarters of a lane are full.
 */
static __always_inline void pf_wake(void) {
    __u8 wake = PF_WAKE;

    if (pf_wake_pending)
        return;
    pf_wake_pending = 1;
    bpf_ringbuf_output(&pf_ring, &wake, sizeof(wake), BPF_RB_FORCE_WAKEUP);
}

/* The same for the ring. */
static __always_inline __u64 pf_ring_flags(void) {
    if (pf_wake_pending || bpf_ringbuf_query(&pf_ring, BPF_RB_AVAIL_DATA) < pf_ring_wake_bytes)
        return BPF_RB_NO_WAKEUP;
    pf_wake_pending = 1;
    return BPF_RB_FORCE_WAKEUP;
}

/* Room for one fault: begin, fill, end. */
struct pf_room {
    struct pf_fault *fault;
    struct pf_lane_ends *ends; /* NULL: in the ring */
    __u64 used;
    __u32 key; /* in a lane: where */
};

/* Where the next fault of a CPU goes. */
static __always_inline __u32 pf_next_of(__u32 cpu, const struct pf_lane_ends *ends) {
    return cpu * pf_lane_slots + (ends->head & (pf_lane_slots - 1));
}

/*
 * To be called as a fault enters, once it has read the clock. It ends with a return that waits for all stores
 * before it, so a line of the lane that is not in the cache would cost the program its whole latency, 45 ns
 * on average; asked for now, it arrives while the kernel handles the fault. It need not be right: the fault
 * may complete on another CPU, or not be recorded.
 */
static __always_inline void pf_load_ahead(__u32 cpu, bool more) {
    struct pf_lane_ends *ends;
    volatile __u8 *line;
    __u32 key;

    if (cpu >= pf_lane_count)
        return;
    ends = bpf_map_lookup_elem(&pf_lane_ends, &cpu);
    if (!ends)
        return;
    key = pf_next_of(cpu, ends);
    line = bpf_map_lookup_elem(&pf_lanes, &key);
    if (line)
        (void)*line;
    if (!more)
        return;
    line = bpf_map_lookup_elem(&pf_lanes_more, &key);
    if (line)
        (void)*line;
    if (!pf_causes)
        return;
    line = bpf_map_lookup_elem(&pf_lanes_causes, &key);
    if (line)
        (void)*line;
}

static __always_inline bool pf_begin_fault(struct pf_room *room, bool by_event) {
    __u32 cpu = bpf_get_smp_processor_id();
    __u32 key;

    room->ends = NULL;
    /* For verifiers that know no value on the stack that is not set on every way: up to 6.2. */
    room->used = 0;
    room->key = 0;
    if (!by_event || cpu >= pf_lane_count) {
        room->fault = bpf_ringbuf_reserve(&pf_ring, sizeof(struct pf_ring_fault), 0);
        return room->fault != NULL;
    }
    room->ends = bpf_map_lookup_elem(&pf_lane_ends, &cpu);
    if (!room->ends)
        return false;
    room->used = room->ends->head - *(volatile __u64 *)&room->ends->tail;
    if (room->used >= pf_lane_slots) {
        pf_wake();
        return false;
    }
    room->key = key = pf_next_of(cpu, room->ends);
    room->fault = bpf_map_lookup_elem(&pf_lanes, &key);
    return room->fault != NULL;
}

/* The second half of the room; in a lane NULL is for the verifier only. */
static __always_inline struct pf_more *pf_more_room(struct pf_room *room) {
    __u32 key;

    if (!room->ends)
        return &((struct pf_ring_fault *)room->fault)->more;
    key = room->key;
    return bpf_map_lookup_elem(&pf_lanes_more, &key);
}

/* The third one, likewise. */
static __always_inline struct pf_cause *pf_cause_room(struct pf_room *room) {
    __u32 key;

    if (!room->ends)
        return &((struct pf_ring_fault *)room->fault)->cause;
    key = room->key;
    return bpf_map_lookup_elem(&pf_lanes_causes, &key);
}

static __always_inline void pf_end_fault(struct pf_room *room) {
    if (!room->ends) {
        bpf_ringbuf_submit(room->fault, pf_ring_flags());
        return;
    }
    if (pf_inject(pf_lose_records, &pf_injected_records))
        return;
    pf_publish(&room->ends->head, room->ends->head + 1);
    if (room->used >= pf_lane_slots / 4 * 3)
        pf_wake();
}

#endif
