"""Check: refuses a wrong configuration before any work starts."""
