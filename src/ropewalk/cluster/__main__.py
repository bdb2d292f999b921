"""Prints the role that a step's service account needs, ready for `kubectl apply -f -`."""

import sys

import tyro

from ropewalk.cluster.access import rbac_manifest

if __name__ == "__main__":
    sys.stdout.write(tyro.cli(rbac_manifest, prog="python -m ropewalk.cluster"))
