"""Formats of files and pipes.  Bytes to values and back.  Knows no Unix."""
