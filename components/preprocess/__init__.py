"""Split a table and learn how to read its columns."""
