"""What functions take, and what they choke on.

Where an app hands a part of a message to ``datetime.fromisoformat``, a fuzzer wants dates there, and texts that
are none. The values are JSON; those that are texts are good for plain messages, too.
"""

import json

__all__ = ["MATCHERS", "USES", "plain", "texts_of", "use_of"]

_NUMBERS = ("1", "0", "-1", "1.5", "NaN", "1e400", "1000000000000000", "-1000000000000000")
_DATES = ('"2024-01-31"', '"2024-01-31T10:00:00"', '"2024-02-30"', '"a"', '""', '"2024-01-31T10:00:00Z"', "0", "null")
_PATTERNS = ('"a"', '"("', '"["', '"*"', '"\\\\"', '"a{2,1}"', '"(?P<a"', "0")
_BASE64 = ('"YQ=="', '"a"', '"YQ"', '"a==="', '"é"', '"/w=="', '""', "0")
_LINKS = ('"http://a/b"', '"["', '"//["', '"http://["', '"http://a:b"', '"a:99999999"', '"http://a:99999999"', "0")
_MARKUP = ('"<a/>"', '"<"', '"<a>"', '"<a></b>"', '"a"', '""')
_BITS = ('"00"', '"0"', '"zz"', '"é"', '""', "0")
_SIZES = ("1", "0", "-1", "1.5", '"a"', "null", "50000000")
_INDICES = ("0", "1", "-1", "-100", "100", "1.5", '"0"', '"a"', "null")
_PARTS_OF_DATES = ("1", "0", "13", "32", "-1", "10000", "1.5", '"a"', "null")
_LISTS = ("[1]", "[]", "[1,2]", '[1,"a"]', "[null]", '["a"]', '"a"', "null", "0")

USES: dict[str, tuple[str, ...]] = {
    "int": ('"1"', "1", '"a"', '""', '"1.5"', "1.5", '"-1"', '"NaN"', "1e400", "NaN", "null", "[]", '"1_0"', '"٣"'),
    "float": ('"1.5"', "1", '"a"', '""', '"NaN"', '"1e400"', "NaN", "null", "[]", '"1,5"'),
    "Decimal": ('"1.5"', '"1e50"', '"a"', '"NaN"', '"sNaN"', '"Infinity"', '""', "null"),
    "Fraction": ('"1/2"', '"1/0"', '"a"', "NaN", '""'),
    "round": (*_NUMBERS, '"a"', "null"),
    "floor": (*_NUMBERS, '"a"', "null"),
    "ceil": (*_NUMBERS, '"a"', "null"),
    "sqrt": (*_NUMBERS, '"a"', "null"),
    "log": (*_NUMBERS, '"a"', "null"),
    "chr": ("97", "-1", "1114112", "55296", '"a"', "1.5"),
    "ord": ('"a"', '""', '"ab"', "null"),
    "abs": (*_NUMBERS, '"a"', "null", "[]"),
    "range": _SIZES,
    "sleep": ("0", "1", "-1", '"a"', "NaN", "null", "1e400"),
    "call_later": ("0", "1", "-1", '"a"', "NaN", "null"),
    "bytes": ("1", "0", "-1", "[256]", "[0]", '"a"', "null", "1.5"),
    "bytearray": ("1", "0", "-1", "[256]", "[0]", '"a"', "null", "1.5"),
    "timedelta": (*_NUMBERS, '"a"', "null"),
    "fromtimestamp": (*_NUMBERS, '"a"', "null"),
    "utcfromtimestamp": (*_NUMBERS, '"a"', "null"),
    "gmtime": (*_NUMBERS, '"a"', "null"),
    "localtime": (*_NUMBERS, '"a"', "null"),
    "fromisoformat": _DATES,
    "strptime": _DATES,
    "literal_eval": ('"1"', '"("', '"a"', '"1+"', '"[1]"', '"1/0"', '""', '"{}["', "null"),
    "eval": ('"1"', '"("', '"a"', '"1+"', '"1/0"', '""'),
    "fromstring": _MARKUP,
    "XML": _MARKUP,
    "parseString": _MARKUP,
    "urlsplit": _LINKS,
    "urlparse": _LINKS,
    "ip_address": ('"127.0.0.1"', '"a"', '"256.0.0.1"', '"::1"', '""', "-1"),
    "ip_network": ('"10.0.0.0/8"', '"a"', '"10.0.0.1/8"', '"10.0.0.0/99"', "-1"),
    "UUID": ('"00000000-0000-0000-0000-000000000000"', '"a"', '""', "0", "null"),
    "b64decode": _BASE64,
    "urlsafe_b64decode": _BASE64,
    "a2b_base64": _BASE64,
    "fromhex": _BITS,
    "unhexlify": _BITS,
    "decompress": _BASE64,
    "re": _PATTERNS,
    "randint": _SIZES[:-1],
    "randrange": _SIZES[:-1],
    "choice": _LISTS,
    "sample": _LISTS,
    "max": _LISTS,
    "min": _LISTS,
    "sum": _LISTS,
    "sorted": _LISTS,
    "join": _LISTS,
    "next": _LISTS,
    "dict": ("{}", '{"a":0}', "[]", "[0]", '"a"', "null", '[["a",1]]'),
    "format": ('"a"', '"{"', '"{0}"', '"{a}"', '"{0.a}"', '"}"', "null"),
    "getattr": ('"a"', '"__class__"', '""', "null", "0"),
    "import_module": ('"a"', '""', '"."', "null"),
    "ascii": ('"a"', '"é"', '"😀"', "null"),
    "index": _INDICES,
    "divisor": ("1", "0", "-1", "0.0", '"a"', "null"),
    "close": ("1000", "1002", "1005", "1006", "999", "2999", "1015", "5000", '"a"', "null", "0"),
    "reason": ('"a"', '"' + "\U0001f600" * 100 + '"', '"' + "a" * 200 + '"'),
    "substitute": ('"a"', '"$"', '"$a"', '"${"', '"$1"', "null"),
    "Template": ('"a"', '"$"', '"$a"', '"${"', '"$1"', "null"),
    "quantize": ('"1.5"', '"1e50"', '"Infinity"', '"NaN"', '"1e9999"'),
    "loads": ('"{}"', '"' + "[" * 20_000 + '"', '"{"', '"a"', '""', '"[]"', "1", "null", '"1"', '"null"'),
    "ljust": _SIZES,
    "rjust": _SIZES,
    "center": _SIZES,
    "zfill": _SIZES,
    "islice": _SIZES,
    "factorial": ("3", "-1", "1.5", '"a"', "null"),
    "isqrt": ("4", "-1", "1.5", '"a"', "null"),
    "bin": ("1", "1.5", '"a"', "null"),
    "hex": ("1", "1.5", '"a"', "null"),
    "to_bytes": ("1", "-1", "256", "65536", "1000000000000000000000", "1.5", "null"),
    "pack": ("1", "-1", "256", "65536", "4294967296", "1000000000000000000000", "1.5", '"a"', "null"),
    "date": _PARTS_OF_DATES,
    "datetime": _PARTS_OF_DATES,
    "monthrange": _PARTS_OF_DATES,
    "ZoneInfo": ('"UTC"', '"a"', '""', '"../a"', '"/a"', "null", "0"),
    "shlex": ('"a b"', '"\'"', '"\\""', '"a\\\\"', "null"),
    "csv": ('"a,b"', '"a"', '""', '"a,b,c"', '"\\""', "null"),
    "unicodedata": ('"a"', '"\\u0000"', '"\\n"', '"\\ue000"', '"ab"', '""', "null"),
    "hash": ('"a"', "0", "[]", "{}", "null", '"b"'),
}
"""Values by the name of the function; the first one is what it likes."""

MATCHERS = ("compile", "search", "match", "fullmatch", "findall", "finditer", "sub", "split")
"""Methods of regular expressions."""


_MODULES = {
    "shlex": ("split",),
    "csv": ("reader", "DictReader"),
    "unicodedata": ("name", "digit", "decimal", "numeric"),
}
"""Functions whose names say little without that of their module."""
_NO_FUNCTIONS = {*_MODULES, "re", "index", "hash", "ascii", "divisor", "reason"}


def use_of(owner: str, called: str) -> str:
    """Return the word for what ``owner.called(x)`` does with ``x``; nothing, if it is none of `USES`."""
    if owner == "re":
        return "re" if called in MATCHERS else ""
    if called in _MODULES.get(owner, ()):
        return owner
    return called if called in USES and called not in _NO_FUNCTIONS else ""


def texts_of(kind: str) -> list[str]:
    """Return the texts among the values of a use, as they stand in a plain message."""
    return [plain(value) for value in USES.get(kind, ()) if value[:1] not in ("[", "{")]


def plain(value: str) -> str:
    """Return a value of JSON as it stands in a plain message: a text without its quotes."""
    return json.loads(value).encode("utf-8", "replace").decode() if value[:1] == '"' else value
