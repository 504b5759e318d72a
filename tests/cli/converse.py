#!/usr/bin/env python3
"""Types on a terminal that a command runs on, and prints what came out of it.

    converse.py COLUMNS COMMAND... <STEPS

The terminal is the command's standard streams and controls it, so that Ctrl-C is a signal. A step is a line:
    expect TEXT    wait until TEXT has come, after what the last expect found (20 seconds at most)
    raw            wait until the command edits lines itself
    exists FILE    wait until there is such a file, and remove it
    send TEXT      type TEXT; \\r, \\n, \\x03 and so on are understood
Without further steps the command must end within 20 seconds. Ends with its status, or with 99 if an expected text did
not come.
"""
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

PATIENCE_S = 20


def main():
    columns, command = int(sys.argv[1]), sys.argv[2:]
    steps = [line.rstrip("\n") for line in sys.stdin]
    pid, master = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execvp(command[0], command)
    seen, at = b"", 0

    def more(until):
        """Reads what comes; False at the end, or when the time is over."""
        nonlocal seen
        if not select.select([master], [], [], max(0, until - time.monotonic()))[0]:
            return False
        try:
            data = os.read(master, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        seen += data
        return bool(data)

    def reached(what, text):
        if what == "raw":
            return not termios.tcgetattr(master)[3] & termios.ICANON
        there = os.path.exists(text)
        if there:
            os.remove(text)
        return there

    missed = None
    for step in steps:
        what, _, text = step.partition(" ")
        data = text.encode().decode("unicode_escape").encode("latin-1")
        until = time.monotonic() + PATIENCE_S
        if what == "send":
            os.write(master, data)
            continue
        if what in ("raw", "exists"):
            while not reached(what, text) and time.monotonic() < until:
                more(time.monotonic() + 0.02)
            continue
        while (found := seen.find(data, at)) < 0 and more(until):
            pass
        if found < 0:
            missed = text
            break
        at = found + len(data)
    until = time.monotonic() + (0 if missed else PATIENCE_S)
    while more(until):
        pass
    os.close(master)  # a hang-up, for what has not ended
    sys.stdout.buffer.write(seen)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if missed:
        print(f"not seen: {missed}", file=sys.stderr)
        return 99
    return status


sys.exit(main())
