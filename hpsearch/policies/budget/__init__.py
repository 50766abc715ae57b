"""What a study may spend, and has spent.

spending.py    the limits: trials, hours, device-hours, money    extension.py   raised by `hpsearch extend`
deadline.py    who must cool down to end in time                 saturation.py  whether a search still gains
"""
