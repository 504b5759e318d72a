#!/usr/bin/env python3
"""with_servers.py COMMAND...: runs it with the servers that need no model; its status is that of COMMAND.

S2A_URL_SCRIPT   s2a serve on a replay whose records are step 1 and step 2, in turn
S2A_URL_PROXY    s2a serve --upstream, in front of
S2A_URL_FAKE     fake_openai.py
"""
import pathlib
import subprocess
import sys
import tempfile

import servers

LIMIT_S = 300


def main():
    with tempfile.TemporaryDirectory(prefix="s2a-clients-") as folder:
        replay = pathlib.Path(folder) / "replay.txt"
        replay.write_text("%s\n%%%%\n%s\n" % (servers.PARTS, servers.ANSWER))
        running = []
        try:
            running.append(fake := servers.Fake())
            running.append(proxy := servers.S2a("--upstream", fake.url, "--access-log", "off"))
            running.append(script := servers.S2a("--backend", "script", "--model", str(replay),
                                                 "--access-log", "off"))
            env = servers.clean_environment(S2A_URL_SCRIPT=script.url, S2A_URL_PROXY=proxy.url,
                                            S2A_URL_FAKE=fake.url)
            return subprocess.run(sys.argv[1:], env=env, timeout=LIMIT_S).returncode
        finally:
            for p in reversed(running):
                p.stop()


if __name__ == "__main__":
    sys.exit(main())
