"""What is measured, each in a process of its own: backends exclude one another.

A contender is started with a task in JSON, says when it is ready, and runs one round for
every line it is sent, so that rounds of several contenders can take turns.
"""
