"""Follows a feed with websockets, as its users do: resumes at its cursor after every disconnect.

    follow_socket.py URL [CURSOR]

Prints each event as one line of JSON.
"""

import asyncio
import json
import sys

import websockets
from websockets.asyncio.client import connect

PAUSE = 0.05
DECODER = json.JSONDecoder()


def envelopes(text):
    """The texts of the elements of "events":[...], byte for byte."""
    at = text.index('"events":[') + len('"events":[')
    while text[at] != "]":
        _, end = DECODER.raw_decode(text, at)
        yield text[at:end]
        at = end + (text[end] == ",")


async def session(url, cursor):
    """Yields the cursor after each message."""
    async with connect(url, subprotocols=["feed.v1.json"], max_size=None) as socket:
        await socket.send(json.dumps({"frame": "subscribe", "sub": "s1", "after": cursor}))
        async for text in socket:
            frame = json.loads(text)
            if frame["frame"] == "events":
                for envelope in envelopes(text):
                    cursor = json.loads(envelope)["cursor"]
                    print(json.dumps({"id": cursor, "data": envelope}), flush=True)
            yield frame.get("cursor") or cursor


async def follow(url, cursor):
    while True:
        try:
            async for cursor in session(url, cursor):
                pass
        except (OSError, websockets.WebSocketException):
            pass
        await asyncio.sleep(PAUSE)


asyncio.run(follow(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] else "start"))
