"""The steps that a profile can name: those of the library's components."""

from ropewalk.launch import catalog


def known_steps() -> list[str]:
    """Return every step's name, such as "train-model", in the order of `ropewalk.components.__all__`."""
    return [name.replace("_", "-") for name in catalog.components()]
