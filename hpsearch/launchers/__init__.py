"""Where workers run: in this process (inline), in processes of this machine (local), on Ray.

messages.py     what driver and worker say to each other
worker.py       the worker's end: trains what it is handed, asks after each evaluation
inline.py local.py ray.py     the family; process.py and actor.py are the other ends of the last two
devices.py      which devices there are
"""
