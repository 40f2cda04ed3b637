/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The wire contract between the probes and the recorder: the records, and the globals both sides see.
 * Rust gets these types from the skeleton; the stored record of a .pfz file is another type, and
 * recorder/src/session converts.
 */
#ifndef PF_WIRE_H
#define PF_WIRE_H

/* First byte of every record. */
enum pf_kind {
    PF_FAULT = 1,        /* struct pf_fault in the lanes, or pf_ring_fault in the ring */
    PF_EXIT = 2,         /* struct pf_exit: in the ring */
    PF_STACK = 3,        /* struct pf_stack: in the ring, before the first fault that names it */
    PF_WAKE = 4,         /* a single byte in the ring: a lane fills up */
    PF_QUERY = 5,        /* struct pf_query: in the ring, when it has ended */
    PF_TEXT = 6,         /* struct pf_query_text: in the ring, before its query */
    PF_EXEC = 7,         /* struct pf_exec: in the ring */
    PF_KERNEL_STACK = 8, /* struct pf_stack of the kernel, with tgid 0: in the ring, before the first fault
                            that names it */
    PF_HIDDEN_WAIT = 9,  /* struct pf_hidden_wait: in the ring, when the thread goes on */
};

enum pf_flag {
    PF_MAJOR = 1,
    PF_FAILED = 2,
    PF_HAS_MORE = 4,         /* there is a pf_more */
    PF_HAS_VMA = 8,          /* its dev, inode and file_page are known */
    PF_HAS_BREAKDOWN = 0x10, /* its times are known */
    PF_ABANDONED = 0x20,     /* with PF_FAILED: interrupted, and completed by no attempt; has no counts */
    PF_HAS_CAUSE = 0x40,     /* there is a pf_cause */
};

enum pf_access {
    PF_ACCESS_UNKNOWN = 0,
    PF_ACCESS_READ = 1,
    PF_ACCESS_WRITE = 2,
    PF_ACCESS_EXEC = 3,
    /* Bits beside it, with --causes. */
    PF_PRESENCE_KNOWN = 4,
    PF_PRESENT = 8, /* with the other one: the page was there, and did not permit the access */
};

enum pf_origin {
    PF_ORIGIN_USER = 0,
    PF_ORIGIN_KERNEL = 1,
    PF_ORIGIN_GUP = 2,
    PF_ORIGIN_GUP_REMOTE = 3,
};

/* Which tasks are recorded. */
enum pf_target {
    PF_TARGET_ALL = 0,    /* every task but those of the recorder */
    PF_TARGET_TREE = 1,   /* the processes in pf_roots, and all their descendants */
    PF_TARGET_PIDS = 2,   /* the processes in pf_roots only */
    PF_TARGET_CGROUP = 3, /* whoever is in the cgroup, or below it, at the time of the fault */
};

/* How a stack ended. */
enum pf_stack_end {
    PF_STACK_WHOLE = 0,
    PF_STACK_NOT_RESIDENT = 1, /* a frame is not in memory, and cannot be faulted in from here */
    PF_STACK_DEPTH = 2,
    PF_STACK_GARBAGE = 3, /* the chain of frame pointers leads nowhere */
};

#define PF_STACK_FRAMES 127

/*
 * The task's own counters, read by the task itself just after the kernel counted this fault. They
 * let the reader prove that nothing is missing: between two records of a task
 *     delta(maj_flt + min_flt) == lost + hidden + filtered, + 1 if the second one is a counted fault.
 */
struct pf_task_counts {
    __u32 maj_flt; /* low half of task_struct::maj_flt */
    __u32 min_flt; /* low half of task_struct::min_flt */
    __u32 lost;    /* since the last record: faults the probes saw and could not pass on */
    __u32 hidden;  /* since the last record: counted by the kernel without an event (GUP) */
};

/* Bits of each time in pf_more: 78 hours. */
#define PF_TIME_BITS 48

/* What only some recordings ask for, or only some backends know: filled where the fault has PF_HAS_MORE. */
struct pf_more {
    __u32 filtered; /* since the last record: counted by the kernel, and not asked for */
    __u32 dev;      /* of the mapped file: major << 20 | minor */
    __u64 inode;    /* 0: no file */
    __u64 file_page;
    __u64 stack; /* hash of the user stack; 0: none */
    __u64 query; /* when the innermost query of the thread began; 0: none */
    /* blocked, run queue, reclaim, lock (in the fault and outside handle_mm_fault): nanoseconds, the lowest
     * bits first, PF_TIME_BITS each. */
    __u64 times[3];
};

/* What was looked at. */
enum pf_witness {
    PF_WITNESS_SLEEP = 1,
    PF_WITNESS_ADDED = 2,
    PF_WITNESS_FIRST = 4,
};

/* Why it took its time, with --causes: filled where the fault has PF_HAS_CAUSE. */
struct pf_cause {
    __u64 sleep; /* hash of the kernel's stack in its longest sleep; 0: it did not sleep, or there is none */
    __u64 first; /* of the pages that it added to the page cache, the first one in the file */
    __u32 added; /* how many */
    __u32 witnesses; /* enum pf_witness */
};

/* One logical page fault: a cache line. */
struct pf_fault {
    __u8 kind;   /* PF_FAULT */
    __u8 flags;  /* enum pf_flag */
    __u8 access; /* enum pf_access */
    __u8 origin;
    __u8 retries;
    __u8 signal; /* that interrupted it last, or ended it; 0: none */
    __u16 cpu;   /* where it entered */
    __u64 ts_ns; /* entry, CLOCK_MONOTONIC */
    __u64 latency_ns;
    __u64 address;
    __u64 ip;
    __u32 tgid;
    __u32 tid;
    struct pf_task_counts counts;
};

/* What only an interrupted fault has. */
struct pf_interruptions {
    __u64 between_ns; /* from the end of an attempt to the begin of the next one, in all: not part of the
                         latency */
    __u32 count;
    __u32 pad;
};

/* A fault in the ring. In the lanes the parts are apart, and none was interrupted. */
struct pf_ring_fault {
    struct pf_fault fault;
    struct pf_more more;
    struct pf_interruptions interruptions;
    struct pf_cause cause;
};

/* The end of a recorded thread. */
struct pf_exit {
    __u8 kind; /* PF_EXIT */
    __u8 pad[3];
    __u32 filtered;
    __u64 ts_ns;
    __u32 tgid;
    __u32 tid;
    struct pf_task_counts counts;
};

/* A thread that is not the first of its process calls exec, and takes over the number of the first. */
struct pf_exec {
    __u8 kind; /* PF_EXEC */
    __u8 pad[7];
    __u64 ts_ns;
    __u32 tgid;
    __u32 tid;
    __u32 old_tid;
    __u32 pad2;
};

/* A sleep in get_user_pages, of whose faults no event tells. */
struct pf_hidden_wait {
    __u8 kind; /* PF_HIDDEN_WAIT */
    __u8 pad[3];
    __s32 call;  /* number of the system call; negative: not known */
    __u64 ts_ns; /* when it fell asleep */
    __u64 wait_ns;
    __u64 sleep; /* hash of the kernel's stack there; 0: it was lost */
    __u64 inode; /* of the file to whose page cache it added last since its last fault; 0: none */
    __u32 dev;   /* major << 20 | minor */
    __u32 tgid;
    __u32 tid;
    __u32 pad2;
};

/* A stack, sent when it is met for the first time. Only `frames` entries of it are sent. */
struct pf_stack {
    __u8 kind; /* PF_STACK */
    __u8 end;  /* enum pf_stack_end */
    __u16 frames;
    __u32 tgid;
    __u64 ts_ns; /* of the fault's entry or its sleep, so it sorts before the fault */
    __u64 hash;
    __u64 address[PF_STACK_FRAMES]; /* innermost first; all others are return addresses */
};

/* Faults charged to a query, whether or not they were passed on. */
struct pf_query_faults {
    __u32 majors;
    __u32 minors;
    __u64 wait_ns;
};

enum pf_query_flag {
    PF_QUERY_HAS_KEY = 1,
    PF_QUERY_OPEN = 2,      /* when the recording ended */
    PF_QUERY_ABANDONED = 4, /* no end probe was met: longjmp, an error, the thread's end */
    PF_QUERY_UNBEGUN = 8,   /* its begin probe was before the recording; begin_ns is 0 */
};

/* A query of a thread. Together with the thread, its begin is its name. */
struct pf_query {
    __u8 kind;  /* PF_QUERY */
    __u8 flags; /* enum pf_query_flag */
    __u16 pad;
    __u32 probe; /* which of those attached */
    __u64 begin_ns;
    __u64 end_ns;
    __u64 parent_ns; /* when the query around it began; 0: none */
    __u64 key;
    __u32 tgid;
    __u32 tid;
    struct pf_query_faults own;
    struct pf_query_faults nested; /* of all queries inside it */
};

#define PF_TEXT_BYTES 256

/* The text of a query, sent when it begins. */
struct pf_query_text {
    __u8 kind; /* PF_TEXT */
    __u8 cut;
    __u16 length;
    __u32 tid;
    __u64 begin_ns;
    char text[PF_TEXT_BYTES + 8]; /* the NUL too */
};

/*
 * What became of the completions that software events told of, on one CPU, whether or not the recording was
 * on: met == written to the lane or the ring + lost + filtered + outside. All only grow.
 */
struct pf_tally {
    __u64 met;            /* of recorded tasks */
    __u64 lost;           /* no room, or no entry */
    __u64 filtered;       /* not asked for */
    __u64 filtered_major; /* of these */
    __u64 outside;        /* entered before the recording began, or after it ended */
    __u64 own;    /* of the recorder, where all tasks are recorded: not among those met, as the next ones */
    __u64 others; /* of tasks that are not recorded */
};

/* The two ends of a lane, each on a cache line of its own. Both only grow. */
struct pf_lane_ends {
    __u64 head; /* records written, by the probes */
    struct pf_tally tally;
    __u64 tail; /* records read, by the recorder */
    __u64 pad2[7];
};

/* Why an event did not become a record, or was not whole. Counted since the probes were attached. */
struct pf_drops {
    __u64 reserve;  /* the lane or the ring was full */
    __u64 failed;   /* the same, for a failed fault: in no count of the kernel's */
    __u64 no_entry; /* completion without an entry: the latency would be unknown */
    __u64 state; /* completion of a recorded task without a state: the kernel made none when it was asked */
    __u64 state_major; /* of these */
    __u64 unfinished;  /* entry without completion, and without a signal that explains it */
    __u64 atomic;      /* entry while page faults were disabled: the kernel gave up, no fault */
    __u64 exits;       /* the ring was full for a pf_exit or a pf_exec */
    __u64 stacks;      /* the ring was full for a pf_stack or a pf_hidden_wait */
    __u64 queries;     /* the ring was full for a pf_query */
    __u64 texts;       /* the ring was full for a pf_query_text, or the text could not be read */
    __u64 deep;        /* queries nested too deep: their faults are those of the query around them */
    __u64 unmatched;   /* an end probe of no query that is known */
};

#endif
