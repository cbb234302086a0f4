"""The system: descriptors, processes, rights, durable files.  Knows no mail."""
