"""Where mail and settings live: formats on files.  The first floor that knows both mail and Unix."""
