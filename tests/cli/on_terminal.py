#!/usr/bin/env python3
"""Runs a command on a terminal of its own and prints what came out of it, as it came.

    on_terminal.py COLUMNS stdout|stderr|both COMMAND...

The stream that is not named goes where on_terminal.py's own goes; standard input is on_terminal.py's own, or the
terminal with "both". Ends with the command's status.
"""
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

columns, streams, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
# No output processing: the bytes are the command's own.
mode = termios.tcgetattr(slave)
mode[1] &= ~termios.OPOST
termios.tcsetattr(slave, termios.TCSANOW, mode)
use = {"stdout": streams in ("stdout", "both"), "stderr": streams in ("stderr", "both")}
child = subprocess.Popen(command, stdin=slave if streams == "both" else None,
                         stdout=slave if use["stdout"] else None,
                         stderr=slave if use["stderr"] else None)
os.close(slave)
while True:
    try:
        data = os.read(master, 65536)
    except OSError:  # EIO: the other side is closed
        break
    if not data:
        break
    os.write(1, data)
sys.exit(child.wait())
