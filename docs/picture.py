"""Draw the README's picture: ``python docs/picture.py`` writes ``docs/picture.svg``.

It plays a short conversation with the first chat of the tutorial, over memory and in virtual time, so that it is the
same each time, and draws what ``transcript.save("picture.json")`` has. The picture looks as the page of
``transcript.save("picture.html")`` does, but as it stands in a README it cannot unfold, and is SVG alone: no script,
no font of its own, no request. It has its own background, light or dark as the reader's system is, so that it does
not depend on the page around it.
"""

import asyncio
import json
import pathlib
import re
import sys
import tempfile
import textwrap
from html import escape

DOCS = pathlib.Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from tornado_wstest import Network, WebSocketTester  # noqa: E402

WIDTH, ROW, TOP, LANES, TEXT = 900, 25, 76, (130, 220, 310), 350
SERVER = len(LANES) - 1

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>What happened on every connection, up to the exception that failed the test</title>
<style>
{colours}
rect {{ fill: var(--page); stroke: var(--edge); }}
text {{ fill: var(--text); font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
.names text {{ font-weight: 600; text-anchor: middle; }}
.time {{ fill: var(--quiet); text-anchor: end; }}
line {{ stroke: var(--control); stroke-width: 1.5; }}
.names line {{ stroke: var(--lane); stroke-width: 1; }}
path {{ fill: var(--control); }}
.sent line {{ stroke: var(--sent); }} .sent path {{ fill: var(--sent); }}
.received line {{ stroke: var(--received); }} .received path {{ fill: var(--received); }}
.connect line {{ stroke-dasharray: 6 4; }}
.connect .what, .close .what, .later {{ fill: var(--quiet); }}
.error path {{ fill: none; stroke: var(--bad); stroke-width: 3; }}
.error .what, .title {{ fill: var(--bad); font-weight: 600; }}
</style>
<rect x=".5" y=".5" width="{right}" height="{bottom}" rx="8"/>
{drawn}
</svg>
"""


def chat():
    """Return the module of the tutorial's first chat, whose lines are counted as they are there."""
    text = (DOCS / "tutorial.rst").read_text("utf-8")
    code = re.search(r"code-block:: python\n\n((?:(?: {4}.*)?\n)+)", text)[1]
    module = {}
    exec(compile(textwrap.dedent(code), "chat.py", "exec"), module)
    return module


async def conversation(file):
    """Play it, and save its transcript."""
    tester = WebSocketTester(
        chat()["make_app"](), path="/chat", transport="memory", virtual_time=True, network=Network(latency=0.01)
    )
    async with tester:
        ann = await tester.client(name="ann")
        await ann.send({"name": "ann"})
        bob = await tester.client(name="bob")
        await bob.send({"name": "bob"})
        await ann.receive_until({"type": "joined", "name": "bob"})
        await ann.send({"text": "hello, bob"})
        await tester.clock.advance(30)
        async with tester.expect_server_error(KeyError):
            await bob.send({"txt": "hello"})
            await ann.receive_until({"type": "left", "name": "bob"})
        tester.transcript.save(file)
        await ann.close()


def what(event):
    """Return what the picture says of an event, in a line."""
    payload = event["payload"]
    if event["kind"] == "close":
        return f"close {payload['text']}"
    if event["kind"] == "error":
        line, function = re.findall(r'File "chat.py", line (\d+), in (\w+)', payload["traceback"])[-1]
        return f"{payload['type']}: {payload['message']} (chat.py:{line} in {function})"
    return f"connect {payload}" if event["kind"] == "connect" else payload


def arrow(x1, x2, y):
    """Return an arrow from lane to lane."""
    neck = x2 - 8 if x2 > x1 else x2 + 8
    head = f'<path d="M{neck} {y - 4}L{x2} {y}L{neck} {y + 4}Z"/>'
    return f'<line x1="{x1}" y1="{y}" x2="{neck}" y2="{y}"/>{head}'


def row(event, lane, y):
    """Return an event as a row: the time, the arrow, the words."""
    ends = (LANES[lane], LANES[SERVER]) if event["from"] == "client" else (LANES[SERVER], LANES[lane])
    cross = f'<path d="M{LANES[SERVER] - 6} {y - 6}l12 12m0-12l-12 12"/>'
    words = escape(f"{event['client']} {what(event)}", quote=False)
    return (
        f'<g class="{event["kind"]}"><text class="time" x="70" y="{y + 4}">{event["time"]:.3f}</text>'
        f"{cross if event['kind'] == 'error' else arrow(*ends, y)}"
        f'<text class="what" x="{TEXT}" y="{y + 4}">{words}</text></g>'
    )


def colours():
    """Return the colours of the transcript's page, light and dark."""
    style = (DOCS.parent / "tornado_wstest" / "diagram.css").read_text("utf-8")
    return style[style.index(":root") : style.index("@media print")].rstrip()


def picture(events):
    """Return the picture of a transcript."""
    clients = list(dict.fromkeys(event["client"] for event in events))
    rows, y, before = [], TOP, 0.0
    for event in events:
        if event["time"] - before > 1:
            rows.append(f'<text class="later" x="{TEXT}" y="{y + 4}">{event["time"] - before:.0f} s later</text>')
            y += ROW
        before = event["time"]
        rows.append(row(event, clients.index(event["client"]), y))
        y += ROW
    error = next(event for event in events if event["kind"] == "error")
    title = f"ServerError: Chat raised {error['payload']['type']}: {error['payload']['message']}"
    title += f" on the connection of {error['client']}"
    names = "".join(
        f'<line x1="{x}" y1="58" x2="{x}" y2="{y - 8}"/><text x="{x}" y="52">{name}</text>'
        for x, name in zip(LANES, [*clients, "server"], strict=True)
    )
    drawn = [f'<text class="title" x="20" y="26">{escape(title, quote=False)}</text>', f'<g class="names">{names}</g>']
    height = y + 4
    return SVG.format(
        width=WIDTH, height=height, right=WIDTH - 1, bottom=height - 1, colours=colours(), drawn="\n".join(drawn + rows)
    )


def main():
    """Return the picture of the conversation."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "picture.json")
        asyncio.run(conversation(file))
        return picture(json.loads(file.read_text("ascii")))


if __name__ == "__main__":
    (pathlib.Path(sys.argv[1]) if sys.argv[1:] else DOCS / "picture.svg").write_text(main(), "utf-8")
