"""Putting an installation in place and proving that it is right.  Runs with all of Python's library."""
