"""Where workers run: in this process (inline), in processes of this machine (local), on Ray.

messages.py     the messages between driver and worker
worker.py       the worker's end: trains a trial and waits for a reply after each evaluation
inline.py local.py ray/     the family; process.py and ray/actor.py are the worker processes of the last two
orphans.py      kills the processes that a worker leaves behind
memory.py devices.py     out-of-memory kills and leaks; which devices there are
ray/cluster.py ray/slot.py     the connection to Ray, and the driver's end of one actor
ray/upload.py ray/scratch.py     copies a trial's files to the storage; a worker's folder on its node
"""
