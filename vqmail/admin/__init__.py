"""What administrators change: domains, users, aliases; and the commands they do it with."""
