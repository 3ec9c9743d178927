"""Follows a feed with httpx-sse, as its users do: resumes from the last id after every disconnect.

    follow.py URL [LAST_EVENT_ID]

Prints each event as one line of JSON, and a refusal likewise before it ends.
"""

import json
import sys
import time

import httpx
from httpx_sse import SSEError, connect_sse

# Reconnects soon. The server's `retry` is longer, because it spreads many clients.
PAUSE = 0.05


def follow(client, url, last_event_id):
    while True:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        try:
            with connect_sse(client, "GET", url, headers=headers) as source:
                for event in source.iter_sse():
                    last_event_id = event.id
                    # A lone comment arrives as an event without data.
                    if event.data:
                        print(json.dumps({"event": event.event, "id": event.id, "data": event.data}), flush=True)
        except SSEError:
            print(json.dumps({"refused": source.response.status_code}), flush=True)
            return
        except httpx.TransportError:
            pass
        time.sleep(PAUSE)


with httpx.Client(timeout=30) as client:
    follow(client, sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
