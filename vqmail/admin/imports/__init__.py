"""What other systems know of their users, found by a module for each, and brought in by one."""
