"""Where workers run: in this process (inline), in processes of this machine (local), on Ray.

messages.py     what driver and worker say to each other
worker.py       the worker's end: trains what it is handed, asks after each evaluation
inline.py local.py ray.py     the family; process.py and actor.py are the other ends of the last two
cluster.py slot.py     the connection to Ray, and the driver's end of one actor
upload.py scratch.py     a trial's files between a node and the storage, and the folder that a worker has there
devices.py      which devices there are
"""
