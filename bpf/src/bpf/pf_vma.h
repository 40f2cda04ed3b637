/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The mapping of a fault, where the backend is not handed it: only for --file, since asking costs
 * microseconds. The answer holds for the whole mapping until somebody changes mappings, so it is kept.
 */
#ifndef PF_VMA_H
#define PF_VMA_H

const volatile __u8 pf_find_vma; /* the kernel has what this takes: bpf_find_vma (5.17), and the tracepoint */

/* Grows when a recorded task locks mappings for writing. */
__u64 pf_mappings_changed;

struct pf_found_vma {
    __u64 address;
    struct pf_mapping mapping;
    bool found;
};

static long pf_copy_found_vma(struct task_struct *task, struct vm_area_struct *vma, struct pf_found_vma *to) {
    struct file *file = vma->vm_file;

    to->mapping.start = vma->vm_start;
    to->mapping.end = vma->vm_end;
    to->mapping.pgoff = vma->vm_pgoff;
    if (file) {
        to->mapping.inode = file->f_inode->i_ino;
        to->mapping.dev = file->f_inode->i_sb->s_dev;
    }
    to->found = true;
    return 0;
}

static __always_inline bool pf_is_in(const struct pf_mapping *mapping, __u64 address) {
    return mapping->valid && mapping->changed == pf_mappings_changed && address >= mapping->start &&
           address < mapping->end;
}

/* Fills in what is mapped at the fault; leaves it open when somebody is changing mappings right now. */
static __always_inline void pf_resolve_vma(struct pf_task *state, struct task_struct *task,
                                           enum pf_slot slot) {
    struct pf_open *open = &state->open[slot];
    struct pf_open_more *more = &state->more[slot];
    struct pf_mapping *mapping = &state->mapping;

    if (!pf_is_in(mapping, open->address)) {
        struct pf_found_vma found = {.address = open->address};

        /* Read first: what changes while we look is not what we saw. */
        found.mapping.changed = pf_mappings_changed;
        found.mapping.valid = 1;
        if (bpf_find_vma(task, open->address, pf_copy_found_vma, &found, 0) || !found.found)
            return;
        *mapping = found.mapping;
    }
    open->has_vma = 1;
    more->inode = mapping->inode;
    more->dev = mapping->dev;
    more->file_page = ((open->address - mapping->start) >> pf_page_shift) + mapping->pgoff;
}

#endif
