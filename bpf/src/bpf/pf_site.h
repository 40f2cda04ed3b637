/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Where a probe of a query is, and where its arguments are. libbpf could do this, but only by opening and
 * parsing the file in the process that may do everything: here the file was parsed by one that may do
 * nothing.
 */
#ifndef PF_SITE_H
#define PF_SITE_H

enum pf_argument_kind {
    PF_NO_ARGUMENT,
    PF_CONSTANT,
    PF_REGISTER,
    PF_MEMORY,
    PF_MEMORY_INDEXED,
};

struct pf_argument {
    __s64 value; /* a constant, or what is added to the address */
    __u16 base;  /* bytes into struct pt_regs */
    __u16 index;
    __u8 kind;
    __u8 scale; /* bits by which the index is shifted */
    __u8 shift; /* bits of the register or memory that are not its own */
    __u8 is_signed;
};

struct pf_site {
    __u64 cookie; /* see pf_point_of */
    struct pf_argument key;
    struct pf_argument text;
};

/* The cookie of an attachment is its index here. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pf_site);
} pf_sites SEC(".maps");

static __always_inline struct pf_site *pf_site_of(struct pt_regs *ctx) {
    __u32 index = bpf_get_attach_cookie(ctx);

    return bpf_map_lookup_elem(&pf_sites, &index);
}

/* 0 where it cannot be read. By address, since a context cannot be indexed. */
static __always_inline __u64 pf_argument_of(struct pt_regs *ctx, const struct pf_argument *argument) {
    __u64 value = 0, index = 0;

    switch (argument->kind) {
    case PF_CONSTANT:
        value = argument->value;
        break;
    case PF_REGISTER:
        bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx + argument->base);
        break;
    case PF_MEMORY_INDEXED:
        bpf_probe_read_kernel(&index, sizeof(index), (void *)ctx + argument->index);
        index <<= argument->scale & 3;
        /* fallthrough */
    case PF_MEMORY:
        bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx + argument->base);
        if (bpf_probe_read_user(&value, sizeof(value), (void *)(value + index + argument->value)))
            return 0;
        break;
    default:
        return 0;
    }
    value <<= argument->shift & 63;
    return argument->is_signed ? (__u64)((__s64)value >> (argument->shift & 63))
                               : value >> (argument->shift & 63);
}

#endif
