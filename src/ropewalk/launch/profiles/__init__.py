"""Profiles: what one cluster gives the steps of every pipeline. Reading one needs no KFP; applying it does."""

from ropewalk.launch.profiles.config import Profile
from ropewalk.launch.profiles.read import read_profile

__all__ = ["Profile", "read_profile"]
