"""A journal with a few events."""

from hpsearch.journal import Journal


def write(path, *events):
    log = Journal(path)
    for event in events:
        log.append(event, value=1)
    log.close()
