"""A YAML file as plain values with line and column, the ranges in it, and messages about mistakes.

yaml_reader.py        YAML text -> nodes with their places     yaml_errors.py   errors of the YAML parser
validation_errors.py  errors of pydantic                       other_tools.py   ranges as other tools write them
"""
