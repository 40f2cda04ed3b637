"""Runs one command to its end: what it printed, how it ended, what CPU time it took itself."""

import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
TIMEOUT_S = 180
POLL_S = 0.02


@dataclass
class Outcome:
    status: int  # negative: the signal that ended it
    stdout: str
    stderr: str
    cpu_s: float  # see own_cpu_s

    def complaint(self):
        """The line that says what went wrong."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower() and "RLIMIT_MEMLOCK" not in line]
        return (telling or lines or [f"exit status {self.status}, without a word"])[0]


def own_cpu_s(pid):
    """User and system time of a process that has ended and was not reaped: all its threads, and none of its
    children. wait4(2) would add the children it waited for, that is, the recorded program."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def run(command, directory, while_running=lambda: None):
    """Calls `while_running` now and then, and once more when the command has ended but still exists."""
    # pfrec under sudo would run the program as somebody else than the other tools do.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
    environment["LC_ALL"] = "C"
    with tempfile.TemporaryFile(dir=directory) as stdout, tempfile.TemporaryFile(dir=directory) as stderr:
        # A session of its own, so that a timeout can end the tool together with what it started.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                   cwd=directory, env=environment, start_new_session=True)
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{command[0]} did not end in {TIMEOUT_S} s: {' '.join(command)}")
                while_running()
                time.sleep(POLL_S)
            while_running()
            cpu_s = own_cpu_s(process.pid)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Outcome(process.returncode, *texts, cpu_s)
