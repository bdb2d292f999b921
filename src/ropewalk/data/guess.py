"""What reading by a guess may end in."""


class GuessError(Exception):
    """A row does not fit the types that were guessed from the beginning of its file: all cells must be looked at."""
