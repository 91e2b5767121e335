"""Words for synthetic text: of several scripts, of programs and of tables."""

from __future__ import annotations

import numpy as np

_PROSE_TEXT = """
the of and to in is that for it as was with be by on not he his but at are this have from or had
an they which one you were her all she there would their we him been has when who will more no if
out so said what up its about into than them can only other new some could time these two may then
do first any my now such like our over man me even most made after also did many before must
through back years where much your way well down should because each just those people how too
little state good very make world still own see men work long get here between both life being
under never day same another know while last might us great old year off come since against go
came right used take der die und das nicht ein ist es sich auch werden aus ihr nach wie im durch
hat eine als noch kann größer für über schon wäre straße les des une est pour dans qui sur pas
plus avec été même où déjà que los con por una más también año señor información Größe Übersicht
Élan Settings Overview Account Report Summary Project Monday January December Berlin Paris Tokyo
London Download Update Results
"""
_PROSE = _PROSE_TEXT.split()
_CODE_TEXT = """
def return import from class self if else for in while None True False not and or with as try
except int float str list dict len range print yield lambda const let var function void static
struct enum public private new this null break continue switch case default template typename
std::vector size_t uint8_t auto inline #include #define == != <= >= += -> => && || {} () []; }; x0
y1 i j k n + - * / = data value index result config self.width self.height buffer offset length
count node tree key items get_value() set_name() parse(args) np.zeros((n, m)) "name" 'utf-8'
"error: %s" 0 1 2 16 255 1.0 1e-3 0xff // comment # note /* */ <div> </div> class="row" href="#"
git commit -m sudo apt install ls -la
"""
_CODE = _CODE_TEXT.split()
_CYRILLIC = "абвгдежзиклмнопрстуфхцчшыьэюя"
_GREEK = "αβγδεζηθικλμνξοπρσςτυφχψω"
SCRIPT_NAMES = {"l": "latin", "c": "cyrillic", "g": "greek", "h": "han"}


def word(rng: np.random.Generator, vocabulary: str) -> str:
    """A word of "latin", "cyrillic", "greek", "han", "code" or "numbers"."""
    if vocabulary == "code":
        return _CODE[rng.integers(len(_CODE))]
    if vocabulary == "numbers":
        return number(rng)
    if vocabulary == "han":
        return "".join(chr(c) for c in rng.integers(0x4E00, 0x8FFF, rng.integers(2, 7)))
    if vocabulary == "latin":
        text = _PROSE[rng.integers(len(_PROSE))]
    else:
        letters = _CYRILLIC if vocabulary == "cyrillic" else _GREEK
        text = "".join(letters[i] for i in rng.integers(len(letters), size=rng.integers(2, 10)))
    if rng.random() < 0.1:
        text = text.capitalize()
    if rng.random() < 0.05:
        text = text.upper()
    if rng.random() < 0.04:
        return number(rng)
    return text + (".,;:!?)"[rng.integers(7)] if rng.random() < 0.12 else "")


def number(rng: np.random.Generator) -> str:
    """A number as tables and axes show them."""
    value = float(rng.uniform(-1, 1) * 10.0 ** rng.integers(0, 6))
    form = rng.integers(5)
    if form == 0:
        return f"{value:.2f}"
    if form == 1:
        return f"{value:,.0f}"
    if form == 2:
        return f"{abs(value) % 100:.1f}%"
    if form == 3:
        return f"{2000 + int(abs(value)) % 30}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}"
    return str(int(abs(value)))


def phrase(rng: np.random.Generator, most: int = 3) -> str:
    """One to ``most`` Latin words, the first one capitalized."""
    words = (_PROSE[i] for i in rng.integers(len(_PROSE), size=rng.integers(1, most + 1)))
    text = " ".join(words)
    return text[:1].upper() + text[1:]
