"""Takes messages as Slack's incoming webhooks do, verified by Slack's own package."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from slack_sdk.signature import SignatureVerifier

VERIFIER = SignatureVerifier(os.environ["HOOKLANE_SECRET_SLACK"])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if VERIFIER.is_valid_request(body, dict(self.headers)):
            print("verified:", json.loads(body)["text"])
            self.send_response(200)
        else:
            print("not genuine")
            self.send_response(403)
        self.end_headers()


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", 8093), Receiver)
    print("listening")
    server.serve_forever()
