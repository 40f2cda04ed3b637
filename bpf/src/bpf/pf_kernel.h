/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The few kernel types the probes read. Only the named fields are declared; CO-RE finds where the
 * running kernel has them.
 */
#ifndef PF_KERNEL_H
#define PF_KERNEL_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct task_struct {
    int pid;
    int tgid;
    unsigned long maj_flt;
    unsigned long min_flt;
    struct task_struct *real_parent;
};

struct bpf_iter_meta {
    struct seq_file *seq;
};

struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
};

#pragma clang attribute pop

#endif
