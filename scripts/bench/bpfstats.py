"""Run time of BPF programs while somebody else runs them (kernel.bpf_stats_enabled, Linux 5.1).

The programs are held open, so that their last figures can be read when their owner is gone.
"""

import ctypes
import os
import platform
import struct

SWITCH = "/proc/sys/kernel/bpf_stats_enabled"
NR_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280}.get(platform.machine())
# enum bpf_cmd and struct bpf_prog_info of include/uapi/linux/bpf.h
PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 11, 13, 15
INFO_BYTES, NAME_AT, RUN_TIME_AT = 216, 64, 192

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    result = libc.syscall(NR_BPF, command, attributes, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf(2)")
    return result


class Statistics:
    """While it lives the kernel measures every BPF program, which costs each run some time."""

    def __enter__(self):
        if NR_BPF is None:
            raise OSError(f"the number of bpf(2) on {platform.machine()} is not known")
        with open(SWITCH, "r+", encoding="ascii") as file:
            self.before = file.read()
            file.seek(0)
            file.write("1")
        return self

    def __exit__(self, *_):
        with open(SWITCH, "w", encoding="ascii") as file:
            file.write(self.before)


class Programs:
    """Those whose name starts with `prefix` and that were loaded since this was made."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.last_id = 0
        self.held = []
        self.hold_new(keep=False)

    def hold_new(self, keep=True):
        while True:
            attributes = ctypes.create_string_buffer(struct.pack("=II", self.last_id, 0), 12)
            try:
                bpf(PROG_GET_NEXT_ID, attributes)
                self.last_id = struct.unpack_from("=I", attributes, 4)[0]
                descriptor = bpf(PROG_GET_FD_BY_ID,
                                 ctypes.create_string_buffer(struct.pack("=I", self.last_id), 12))
            except FileNotFoundError:
                # No next one; or this one went away, and the following call finds those after it.
                return
            if keep and self.info(descriptor)[0].startswith(self.prefix):
                self.held.append(descriptor)
            else:
                os.close(descriptor)

    def finish(self):
        """[(name, run_time_ns, run_cnt)], and lets them go."""
        figures = [self.info(descriptor) for descriptor in self.held]
        for descriptor in self.held:
            os.close(descriptor)
        self.held = []
        return figures

    @staticmethod
    def info(descriptor):
        info = ctypes.create_string_buffer(INFO_BYTES)
        bpf(OBJ_GET_INFO_BY_FD, ctypes.create_string_buffer(
            struct.pack("=IIQ", descriptor, INFO_BYTES, ctypes.addressof(info)), 16))
        name = info.raw[NAME_AT:NAME_AT + 16].split(b"\0")[0].decode("ascii", "replace")
        return name, *struct.unpack_from("=QQ", info, RUN_TIME_AT)
