"""`ropewalk ...`, a file for each group of commands: they parse and call, nothing else."""
