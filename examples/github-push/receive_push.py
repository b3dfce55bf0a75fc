"""Takes pushes as GitHub sends them: `X-Hub-Signature-256` is the HMAC-SHA256 of the body."""

import hmac
import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

SECRET = os.environ["HOOKLANE_SECRET_GITHUB"].encode()


def genuine(body: bytes, signature: str) -> bool:
    """As GitHub's documentation has it, compared in constant time."""
    expected = "sha256=" + hmac.digest(SECRET, body, "sha256").hex()
    return hmac.compare_digest(expected.encode(), signature.encode())


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not genuine(body, self.headers.get("x-hub-signature-256", "")):
            print("not genuine")
            self.send_response(401)
        elif self.headers["x-github-event"] == "push":
            push = json.loads(body)
            where = f"{push['ref']} of {push['repository']['full_name']}"
            print(f"verified: {len(push['commits'])} commits on {where}")
            self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", 8091), Receiver)
    print("listening")
    server.serve_forever()
