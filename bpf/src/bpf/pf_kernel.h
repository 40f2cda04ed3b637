/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The few kernel types the probes read. Only the named fields are declared; CO-RE finds where the
 * running kernel has them.
 */
#ifndef PF_KERNEL_H
#define PF_KERNEL_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
    __u64 id; /* the inode number, since 5.5 */
};

struct cgroup_subsys_state {
    struct cgroup *cgroup;
    struct cgroup_subsys_state *parent;
};

struct cgroup {
    struct cgroup_subsys_state self;
    struct kernfs_node *kn;
};

struct css_set {
    struct cgroup_subsys_state *subsys[16]; /* the declared length does not matter */
    struct cgroup *dfl_cgrp;
};

typedef struct {
    unsigned int val;
} kuid_t;

struct cred {
    kuid_t uid;
};

struct task_struct {
    int pid;
    int tgid;
    unsigned int __state;
    unsigned long maj_flt;
    unsigned long min_flt;
    unsigned int flags;
    unsigned long jobctl;
    int pagefault_disabled;
    struct task_struct *group_leader;
    struct task_struct *real_parent;
    struct css_set *cgroups;
    const struct cred *cred;
    __u64 self_exec_id;
    char comm[16];
};

/* Before 5.14. */
struct task_struct___old {
    volatile long state;
};

/* Of arm64. */
struct pt_regs___call {
    int syscallno;
};

struct super_block {
    unsigned int s_dev;
};

struct inode {
    unsigned short i_mode;
    unsigned long i_ino;
    struct super_block *i_sb;
};

struct address_space {
    struct inode *host;
};

struct file {
    struct inode *f_inode;
};

struct vm_area_struct {
    unsigned long vm_start;
    unsigned long vm_end;
    unsigned long vm_pgoff;
    struct file *vm_file;
};

/* A page of the page cache (5.16). */
struct folio {
    unsigned long flags;
    struct address_space *mapping;
    unsigned long index;
    unsigned long _flags_1;     /* its low byte is the order, since 6.6 */
    unsigned char _folio_order; /* before */
};

/* Since 6.18. */
struct folio___memdesc {
    struct {
        unsigned long f;
    } flags;
};

struct page {
    struct address_space *mapping; /* up to 5.15, as the next one */
    unsigned long index;
    unsigned char compound_order; /* up to 6.0 */
};

struct bpf_iter_meta {
    struct seq_file *seq;
};

struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
};

#pragma clang attribute pop

/* Only its existence and the kernel's value count. */
enum pageflags {
    PG_head = 1,
};

/* include/linux/sched.h and sched/jobctl.h. */
enum {
    PF_TASK_IO_WORKER = 0x10,     /* PF_IO_WORKER: a thread of io_uring (5.12) */
    PF_TASK_USER_WORKER = 0x4000, /* PF_USER_WORKER: likewise, and of vhost (6.4); before that PF_USED_ASYNC,
                                     which is gone by then, so a wrong guess costs a look */
    PF_TASK_STOPPED = 0x4 | 0x8,  /* __TASK_STOPPED, __TASK_TRACED */
    PF_JOBCTL_STOP_SIGNAL = 0xffff, /* JOBCTL_STOP_SIGMASK */
    PF_TASK_UNINTERRUPTIBLE = 0x2,
};

/* include/uapi/linux/stat.h. */
enum {
    PF_FILE_TYPE = 0170000,
    PF_REGULAR_FILE = 0100000,
};

/* include/linux/mm_types.h: the same since 5.9 at least. */
enum {
    FAULT_FLAG_WRITE = 0x1,
    FAULT_FLAG_TRIED = 0x20,
    FAULT_FLAG_USER = 0x40,
    FAULT_FLAG_REMOTE = 0x80,
    FAULT_FLAG_INSTRUCTION = 0x100,

    VM_FAULT_MAJOR = 0x4,
    VM_FAULT_RETRY = 0x400,
    /* OOM, SIGBUS, HWPOISON, HWPOISON_LARGE, SIGSEGV, FALLBACK */
    VM_FAULT_ERROR = 0x1 | 0x2 | 0x10 | 0x20 | 0x40 | 0x800,
};

#endif
