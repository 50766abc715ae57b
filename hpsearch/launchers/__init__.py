"""Where workers run: in this process (inline), in processes of this machine (local); one interface, one test suite.

messages.py     what driver and worker say to each other
worker.py       the worker's end: trains what it is handed, asks after each evaluation
inline.py local.py     the family
devices.py      which devices there are
"""
