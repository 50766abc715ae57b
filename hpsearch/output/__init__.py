"""What leaves the process, or is said of it: without secrets, printable, and never the end of a search.

streams.py    standard output and error that never raise     printable.py    control characters, escaped
redaction.py  passwords and tokens, removed                  error_lines.py  an error's message as such lines
logs.py       logged warnings, passed on                     webhook.py      JSON messages by POST
waiting.py    a line about a silent command, in a terminal
"""
