"""Values that apps stumble over: the same for every app."""

import functools
import itertools

__all__ = [
    "GENERIC_SHAPES",
    "ODD_BINARY",
    "ODD_JSON",
    "ODD_OF_KIND",
    "ODD_TEXTS",
    "ODD_VALUES",
    "TYPICAL",
    "long_texts",
]

ODD_TEXTS = (
    " ", "-1", "1e400", "NaN", "0x10", "null", "undefined", "None", "true", "%s", "%n%d%x", "{0}", "{}", "{x!r}",
    "\x00", "\n", "\r\n", "\t", "\x1b[31m", "\x7f", "\u0085", "\u2028", "\ufeff", "\ufffd", "\u202e", "\ufffe",
    "e\u0301", "ß", "İ", "ﬁ", "\U0001d4b3", "😀", "👨\u200d👩\u200d👧", "𠀀", "\U000e0001", "\U000f0000", "\U0010ffff",
    "'", '"', "\\", "<script>", "../../etc/passwd", "' OR 1=1 --", "a b", "a:b", "a,b", "/", "/quit", "__class__",
    "9223372036854775808", "9" * 40, "-0", "1.5", "٣", "²", "1_000", "${a}",
    "a" * 30, "a" * 40 + "!", "1" * 40, "a " * 20, "(" * 30,
    "{", "[", "{}}", '{"a":', '{"a" 1}', "{'a': 1}", '{"a": 1,}', '"a', "[1 2]", "tru", "\ufeff{}",
)  # fmt: skip
"""Texts: controls, each plane of Unicode, numbers, formats, what bad patterns choke on, and what is nearly JSON."""

ODD_VALUES = (
    "null", "true", "false", '""', "[]", "{}", "-1", "2", "1.5", "-0.0", "1e-400", "2147483648", "9007199254740993",
    "9223372036854775808", "-9223372036854775809", "1e308", "1e400", "-1e400", "NaN", "Infinity", "-Infinity",
    '"0"', '"-1"', '"1e400"', '"null"', '" "', '"\\u0000"', '"\\n"', '"\\ud800"', '"\\ud83d\\ude00"', '"%s"', '"{0}"',
    '"__proto__"', '"../x"', "[null]", "[[]]", "[0]", '["a"]', '["a","a"]', "[{}]", '{"a":null}', '{"":0}',
    '{"a":{"a":{}}}',
    "9" * 400, '"' + "a" * 300 + '"', "[" * 50 + "]" * 50,
)  # fmt: skip
"""JSON values that are seldom meant, as JSON."""

TYPICAL: dict[str, tuple[str, ...]] = {
    "number": ("0", "1", "2", "100", "1.5", "-1"),
    "string": ('"a"', '"b"', '"a b"', '"0"'),
    "bool": ("false", "true"),
    "list": ('["a"]', "[]", "[0]", "[{}]", '["a","b"]', "[1,2]"),
    "object": ('{"a":0}', "{}", '{"a":"b"}'),
}
"""JSON values by what is done with them, as JSON."""

_DEEP = tuple("[" * depth + "]" * depth for depth in (50, 400, 600, 900, 2000))

ODD_OF_KIND: dict[str, tuple[str, ...]] = {
    "number": (
        "-1", "null", '"a"', "NaN", "1e400", "0", "1.5", "1000000000000000", "-1000000", '"1"', "[]", "true",
        "-1e400", '""', "40000000", "{}", "9" * 400, "-1000000000000000", "9223372036854775808", "-0.0",
    ),
    "string": (
        '""', "null", "0", '"\\ud800"', '"' + "a" * 300 + '"', "[]", '"' + "😀" * 100 + '"', "{}", '" "', "1.5",
        '"é"', '"a\\udfff"', '"/"', '"\\u0000"', '"{"', "true", '"' + "a" * 5000 + '"', '"%s"', '"-1"', '"("',
    ),
    "bool": ("null", "0", '"a"', "[]", "2", '"false"', "{}"),
    "list": (
        "[]", "null", "{}", '"a"', '[1,"a"]', '["a",1]', "[null]", "[[]]", "0", "[{}]", "[NaN]", "[0,0]",
        '["\\ud800"]', "[" + "0," * 1000 + "0]", *_DEEP,
    ),
    "object": (
        "{}", "null", "[]", '"a"', "0", '{"a":null}', '{"":0}', '{"a":[]}', '{"a b":0}', '{"self":0}',
        '{"a":' * 600 + "0" + "}" * 600,
    ),
    "deep": _DEEP[1:-1],
    "word": ("[]", '"b"', "null", "0"),
    "hash": ("[]", "{}", "[[]]", '"b"', "null", '"zz"', "2"),
    "unknown": (
        "null", '""', '"a"', "0", "-1", "[]", "{}", '"\\ud800"', "1.5", "1e400", "NaN", '"0"', "true", "100",
        '"' + "a" * 300 + '"', '"' + "😀" * 100 + '"', '[1,"a"]', "[null]", '{"a":null}', "40000000", *_DEEP[2:],
    ),
}  # fmt: skip
"""JSON values that one stumbles over who does this with them; the likeliest ones first."""

ODD_JSON = (
    "{}", "[]", "null", "true", "false", "0", '""', '"a"', "-1", "1.5", "1e400", "NaN", "-Infinity", "[null]", "[[]]",
    "[{}]", "[0,1]", '["a"]', '{"":null}', '{"a":1,"a":2}', '"\\ud800"', '{"\\ud800":0}', " {} ", "{}\n", "{}{}",
    "[1,]",
    "9" * 5000, "[" * 100 + "]" * 100, '{"a":' * 100 + "0" + "}" * 100, "[" * 20_000, "[" * 20_000 + "]" * 20_000,
)  # fmt: skip
"""Whole messages of JSON, or nearly so. The last ones nest deeper than Python does."""

ODD_BINARY = (
    b"\x00", b"\xff", b"\x80", b"\xc3", b"\xc3\x28", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80",
    b"\xf4\x90\x80\x80", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"caf\xc3\xa9", b"\x80\x04N.", b"\x1f\x8b\x08",
    b"\xdd\xff\xff\xff\xff", b"\x08\x96\x01", b"\x93\x01\x02", b"\x89PNG\r\n", b"\x00" * 130, bytes(range(256)),
)  # fmt: skip
"""Bytes: broken UTF-8 of each sort, and beginnings of formats."""

GENERIC_SHAPES = (
    ("type",), ("action",), ("id",), ("event", "data"), ("type", "payload"), ("type", "id"), ("cmd", "args"),
    ("message",), ("channel", "message"), ("jsonrpc", "method", "params", "id"),
)  # fmt: skip
"""Members that many apps' messages have, for an app that nothing is known of."""


@functools.cache
def long_texts(most: int) -> tuple[str, ...]:
    """Return texts around the sizes that frames and buffers end at, as long as ``most`` bytes."""
    sizes = dict.fromkeys([125, 126, 127, 1000, 4096, 65535, 65536, most - 1, most])
    texts = ["a" * size for size in sizes if 0 < size <= most]
    planes = itertools.cycle("aé€😀")
    return (*texts, "".join(itertools.islice(planes, most // 10)))
