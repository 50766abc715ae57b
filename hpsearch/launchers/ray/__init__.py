"""Workers on a Ray cluster.

launcher.py     starts actors, replaces dead ones, passes messages
slot.py         one actor, as seen by the driver
actor.py        one worker, in a process on a node
cluster.py      the connection to Ray
local_ray.py    a Ray of this machine for one run
visibility.py   checks that a node sees the driver's folder or storage
scratch.py      a worker's folder on its node
transfer.py     downloads a trial from the storage, and stores it at its end
upload.py       stores a trial's files while it trains
"""
