"""Python's http.client, which writes a whole request before it reads anything.

usage: post.py JOBS, with JOBS as JSON: [[url, headers, bytes], ...]
Prints the result of each: the status of the response, or the error.
"""

import http.client
import json
import sys
from urllib.parse import urlsplit


def post(url, headers, size):
    url = urlsplit(url)
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    try:
        connection.request("POST", f"{url.path}?{url.query}", b"x" * size, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


print(json.dumps([post(*job) for job in json.loads(sys.argv[1])]))
