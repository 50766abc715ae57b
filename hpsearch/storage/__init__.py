"""Where the states of trials are kept: on a disk, or in a storage that the nodes of a cluster reach."""
