"""What the operating system and the interpreter give: files, locks, processes, modules.

atomic.py        files that are old or new after a crash       sealed.py      files with a checksum
file_lock.py     locks that die with their process             process.py     a process beyond its pid
environment.py   versions, and those that are refused          gpus.py        the names of GPUs
user_modules.py  a user's modules, imported and called         failpoints.py  places where a test kills everything
uncollected.py   many values made without the garbage collector
"""
