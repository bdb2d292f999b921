"""Serves KFP's API until standard input ends: `python -m kfp_server`, from the folder tests; prints its address."""

import sys

from kfp_server.server import serve

with serve() as server:
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    sys.stdin.read()
