"""Drills: whole runs that are killed, starved and fed rubbish, and calls of every reader with rubbish.

`python -m tests.drills` runs them all. Each kind is a file here and a line in `kinds.py`.
"""
