"""Launch: compiles pipelines and runs them; the only part of the library that knows KFP."""
