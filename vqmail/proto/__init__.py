"""Protocols.  Bytes in, events out.  Knows no Unix: no descriptors, no clock, no files."""
