"""The trials' checkpoints, on a disk or in a storage that all nodes of a cluster can reach.

storage.py        a bucket, a server or a folder behind a URL (fsspec)
snapshots.py      a folder's files in a storage, updated atomically
study_storage.py  the part of a storage that one study uses
checkpoints.py    the folders of all trials of a study
integrity.py      finds damaged checkpoints
disk_space.py     waits for a disk that refuses writes
"""
