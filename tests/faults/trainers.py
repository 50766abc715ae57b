"""Train functions that misbehave, for workers to run."""

from hpsearch import toy


def first_device_is_broken(config, handle):
    """The toy, on every device but cuda:0."""
    if handle.setting.device == "cuda:0":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    yield from toy.train(config, handle)


def greedy(config, handle):
    """Asks for more memory than the process may have."""
    import resource

    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for found in toy.train(config, handle):
        yield found
        bytearray(8 << 30)


ODD = ("val/loss", 1.0)  # a metric and the value that it has from the second evaluation on


def odd(config, handle):
    """The toy, with one odd value."""
    for found in toy.train(config, handle):
        if found.index >= 2:
            found.metrics[ODD[0]] = ODD[1]
        yield found
