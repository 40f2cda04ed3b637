"""What all measurements share: their options, a directory for their files, and how they end."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile


def note(text):
    """For people: standard error."""
    print(text, file=sys.stderr, flush=True)


def output_of(arguments):
    """Standard output; standard error is for whoever watches."""
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"exit status {done.returncode} of {' '.join(arguments)}")
    return done.stdout


def load_average():
    """Before it all; a busy machine is told."""
    busy = os.getloadavg()[0]
    if busy > 0.5:
        note(f"warning: the load average is {busy:.1f}: somebody else uses this machine, expect noise")
    return busy


def parser():
    """The options of every measurement."""
    result = argparse.ArgumentParser()
    result.add_argument("--bin", required=True)
    result.add_argument("--runs", type=int)
    result.add_argument("--quick", action="store_true")
    result.add_argument("--dir", default=os.environ.get("TMPDIR") or "/var/tmp")
    result.add_argument("--raw")
    return result


def main(options, runs, quick_runs, measure):
    """`measure` gets the options and a directory that is removed afterwards. Returns the exit status."""
    # Ended politely, it removes its files and puts back what it changed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options.bin = os.path.abspath(options.bin)
    options.runs = options.runs or (quick_runs if options.quick else runs)
    directory = None
    try:
        directory = tempfile.mkdtemp(prefix="pfrec-bench-", dir=options.dir)
        return measure(options, directory)
    except (OSError, RuntimeError, ValueError) as problem:
        note(f"error: {problem}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
