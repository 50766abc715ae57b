"""Names by which files and columns of translations tell their language."""

from __future__ import annotations

_CODES = """
af am ar as az be bg bn bo bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id ig is it ja
jv ka kk km kn ko ku ky lb lo lt lv mg mk ml mn mr ms mt my nb ne nl nn no oc or pa pl ps pt ro ru rw sd si sk sl so sq
sr sv sw ta te tg th tk tr tt ug uk ur uz vi wo xh yi yo zh zu
"""  # ISO 639-1, of which there are texts to translate
_NAMES = "english french german spanish italian portuguese dutch russian chinese japanese korean arabic hindi"
LANGUAGES = frozenset(_CODES.split()) | frozenset(_NAMES.split())
