"""Launchers start workers: in this process (inline), in processes of this machine (local), or on Ray.

messages.py         the messages between driver and worker, and the Launcher protocol
launch.py           starts the launcher that a space file names
inline.py           the launchers
local.py
ray/
worker_process.py   a worker process of local.py
session.py          the trials that a worker trains together: mostly one
suspension.py       suspends the workers with the driver (Ctrl-Z)
orphans.py          kills the processes that a worker leaves behind
memory.py           out-of-memory kills and memory leaks
devices.py          the devices of this machine
"""
