"""Injectors: what can be done to processes, databases, Redis and the network between them.

Each is a verb: it lasts until the fault is over and what it broke works again, and says what was seen of it, or
None. Nothing here is timed by luck: an effect is waited for, and then it goes on.
"""
