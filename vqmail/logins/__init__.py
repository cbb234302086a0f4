"""Logging in: may he in, and who is he?  Sources asked in turn, who guesses slowed down (doc/LOGINS.md)."""
