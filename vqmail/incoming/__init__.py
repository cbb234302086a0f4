"""One client of SMTP, with all that is decided about it, and no I/O with it: one process may hold many."""
