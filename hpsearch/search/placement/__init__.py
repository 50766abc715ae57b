"""Which trial goes to which worker: queued trials, devices with errors, and the memory that trials share."""
