"""Processes that have the programs loaded already, and run them again and again."""
