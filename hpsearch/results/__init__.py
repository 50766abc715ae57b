"""What a study has found, as pure functions of its history.

evidence/  in words: bands, cliffs, comparisons, caveats
page/      the report: one html page
pictures/  the same as PNG, and what both share
"""
