"""Two receivers of payments: the old one knows version 1, the new one version 2."""

import base64
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

KEY = base64.b64decode(os.environ["HOOKLANE_SECRET_ACCOUNTING"].removeprefix("whsec_"))


def version_1(data: dict[str, Any]) -> str:
    return f"{data['amount']:.2f}"


def version_2(data: dict[str, Any]) -> str:
    return f"{data['amount']['value']} {data['amount']['currency']} by {data['method']}"


WANTED = {"/old": ("invoice.paid.v1", version_1), "/new": ("invoice.paid.v2", version_2)}


class Receivers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        wanted, read = WANTED[self.path]
        if not self.genuine(body):
            print("not genuine")
            self.send_response(401)
        elif self.headers["ce-type"] != wanted:
            print(f"{self.path} does not understand {self.headers['ce-type']}")
            self.send_response(422)
        else:
            data = json.loads(body)
            print(f"verified: {self.path} {wanted} {data['invoice']}: {read(data)}")
            self.send_response(204)
        self.end_headers()

    def genuine(self, body: bytes) -> bool:
        timestamp = self.headers["webhook-timestamp"]
        signed = f"{self.headers['webhook-id']}.{timestamp}.".encode() + body
        right = b"v1," + base64.b64encode(hmac.digest(KEY, signed, "sha256"))
        given = self.headers["webhook-signature"].encode().split(b" ")
        is_new = abs(time.time() - int(timestamp)) <= 300
        return is_new and any(hmac.compare_digest(right, one) for one in given)


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", 8094), Receivers)
    print("listening")
    server.serve_forever()
