"""Processes that have the programs loaded already, and run them again and again.

A worker is a process of the right uid that runs one job after another and keeps nothing of a job.  A pool
holds the workers of one service, by uid.  A service is a local socket with workers, or a loop, behind it.
"""
