"""A space file as text: values that know their line and column, ranges, and what is wrong with them in plain words."""
