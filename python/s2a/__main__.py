"""`python -m s2a ...` and the command `s2a`: the tool that is in the package."""
import os
import sys

from ._models import tool


def main() -> None:
    path = tool()
    os.execv(path, ["s2a", *sys.argv[1:]])


if __name__ == "__main__":
    main()
