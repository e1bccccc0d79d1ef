"""The singular of an English word as CHAIR's official tool forms it: by the spelling alone, quirks included.

That tool calls `singularize` of the Python library `pattern` (clips/pattern on GitHub, pattern/text/en/inflect.py), whose result on
captions decides which words count as objects. The order below is its order:

1. a word that is the tail of a word without a plural stays as it is ("scissors", but also "ears", the tail of "shears");
2. a plural of a word in -ie stays as it is ("cookies"); "ties" is none of them and becomes "ty";
3. an irregular ending is replaced, inside longer words too ("women" → "woman", "four" → "fmy");
4. the first ending that fits is replaced; the last of them drops any final s ("bus" → "bu", "glass" → "glas").
"""

import re
from collections.abc import Iterable
from functools import lru_cache


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _tails(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word[start:] for word in words for start in range(len(word)))


WITHOUT_PLURAL = _words("""
    bison bream breeches britches carp chassis christmas clippers cod contretemps corps debris diabetes djinn eland elk flounder gallows
    georgia graffiti headquarters herpes high-jinks homework innings jackanapes mackerel measles mews mumps news pincers pliers
    proceedings rabies salmon scissors series shears species swine swiss trout tuna whiting wildebeest
    advice bread butter cheese electricity equipment fruit furniture garbage gravel happiness information ketchup knowledge love luggage
    mathematics mayonnaise meat mustard progress research rice sand software understanding water
""")
UNCHANGED = _tails(WITHOUT_PLURAL)

IN_IE = _words("""
    alergie auntie beanie birdie bogie bombie collie cookie cutie doggie eyrie freebie goonie groupie hankie hippie hoagie hottie indie
    junkie laddie laramie lingerie meanie newbie nightie oldie pixie quickie reverie rookie softie sortie stoolie sweetie techie toughie
    valkyrie veggie weenie yuppie zombie
""")
PLURALS_IN_IE = tuple(word + "s" for word in sorted(IN_IE))

IRREGULAR = {
    plural: singular
    for singular, plurals in {
        "atlas": "atlantes atlases",
        "axe": "axes",
        "beef": "beeves",
        "brother": "brethren",
        "child": "children",
        "corpus": "corpora corpuses",
        "cow": "kine",
        "ephemeris": "ephemerides",
        "foot": "feet",
        "ganglion": "ganglia",
        "genie": "genii",
        "genus": "genera",
        "goose": "geese",
        "graffito": "graffiti",
        "helve": "helves",
        "leaf": "leaves",
        "loaf": "loaves",
        "man": "men",
        "money": "monies",
        "mongoose": "mongooses",
        "move": "moves",
        "my": "our",
        "mythos": "mythoi",
        "numen": "numena",
        "occiput": "occipita",
        "octopus": "octopodes",
        "opus": "opera opuses",
        "ox": "oxen",
        "penis": "penes penises",
        "person": "people",
        "sex": "sexes",
        "soliloquy": "soliloquies",
        "testis": "testes",
        "tooth": "teeth",
        "trilby": "trilbys",
        "turf": "turves",
        "zoon": "zoa",
    }.items()
    for plural in plurals.split()
}
_IRREGULAR_ENDING = re.compile(f"({'|'.join(sorted(IRREGULAR, key=len, reverse=True))})$")

ENDINGS = [  # (what stands before and stays, the ending, what takes its place); the first that fits is used
    (".", "ae", "a"),
    (".", "itis", "itis"),
    (".", "eaux", "eau"),
    ("quiz", "zes", ""),
    ("matr", "ices", "ix"),
    ("ap|vert|ind", "ices", "ex"),
    ("^ox", "en(.*)", r"\2"),  # the one rule that looks at a word's beginning
    ("alias|status", "es", ""),
    ("[octpvir|]", "i", "us"),  # meant for octopi and viri, but any of these letters will do: "safari" → "safarus"
    ("cris|ax|test", "es", "is"),
    ("shoe", "s", ""),
    ("o|bus", "es", ""),
    ("[ml|]", "ice", "ouse"),  # "mice", and "slice" as well
    ("x|ch|ss|sh", "es", ""),
    ("movie|.ombie", "s", ""),
    ("s", "eries", "eries"),
    ("[^aeiouy]|qu", "ies", "y"),
    ("[aeo]l|[^d]ea|ar", "ves", "f"),
    ("er", "ves", "ve"),
    ("[nlw]i", "ves", "fe"),
    ("[lr]", "ves", "f"),
    ("[aeo]", "ves", "ve"),
    ("sive|tive|hive", "s", ""),
    ("[^f]", "ves", "fe"),
    ("^analy", "ses", "sis"),
    ("analy", "ses", "asis"),  # in a longer word its a is doubled
    ("ba|diagno|parenthe|progno|synop|the", "ses", "sis"),
    (".op|.y", "ses", "sis"),
    ("[hdronbp]o|clo", "ses", "se"),
    (".o", "ses", "sis"),
    ("[ti]", "a", "um"),
    ("n", "ews", "ews"),
    ("", "s", ""),
]
_RULES = [(re.compile(f"({before}){ending}$"), rf"\1{instead}") for before, ending, instead in ENDINGS]

PREPOSITIONS = _words("""
    about above across after among around at athwart before behind below beneath beside besides between betwixt beyond but by during except
    for from in into near of off on onto out over since till to under until unto upon with
""")


@lru_cache(maxsize=100_000)
def singular(word: str) -> str:
    """The singular of a lower-case word; a word that is no plural changes too, where its ending fits a rule."""
    head, dash, rest = word.partition("-")
    if dash and rest.split("-")[0] in PREPOSITIONS:
        return singular(head) + dash + rest  # mothers-in-law
    if word.endswith("'"):
        return singular(word[:-1]) + "'s"
    if not word or word in UNCHANGED or word.endswith(PLURALS_IN_IE):
        return word
    if irregular := _IRREGULAR_ENDING.search(word):
        return word[: irregular.start()] + IRREGULAR[irregular[0]]
    for ending, replacement in _RULES:
        if ending.search(word):
            return ending.sub(replacement, word)
    return word
