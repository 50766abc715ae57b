"""`python -m hpsearch`: the command line, where no `hpsearch` program is on the PATH."""

from hpsearch.cli import main

if __name__ == "__main__":
    main()
