"""Which trial goes to which worker: deaths, devices in doubt, and the memory that trials share."""
