"""Serves KFP's API until standard input ends: `python -m kfp_server`, from the folder tests; prints its address."""

import sys

from kfp_server.server import serve

with serve() as server:
    print(server.url, flush=True)
    sys.stdin.read()
