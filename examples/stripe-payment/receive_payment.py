"""Takes payments as Stripe sends them, verified by Stripe's own package."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

import stripe

SECRET = os.environ["HOOKLANE_SECRET_PAYMENTS"]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = stripe.Webhook.construct_event(
                body, self.headers.get("stripe-signature"), SECRET
            )
        except (ValueError, stripe.SignatureVerificationError):
            print("not genuine")
            self.send_response(400)
        else:
            payment = event.data.object
            print(f"verified: {event.id} {event.type}, {payment['amount']} {payment['currency']}")
            self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", 8092), Receiver)
    print("listening")
    server.serve_forever()
