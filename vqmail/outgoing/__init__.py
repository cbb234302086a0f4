"""Where mail for another host goes, and how it gets there."""
