"""Dispatching: what vq-send does between the queue and its spawners.  Stands on store and unix; no program."""
