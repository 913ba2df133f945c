"""Stripe's SDK. Usage: NAME FILE; prints the answers as JSON."""

import json
import os
import sys

import stripe

_, file = sys.argv[1:]
# It trusts a list of its own alone.
stripe.ca_bundle_path = os.environ["SSL_CERT_FILE"]
client = stripe.StripeClient(os.environ["STRIPE_API_KEY"])
got = {
    "get": client.v1.customers.list().data,
    "post": client.v1.customers.create({"email": "hello@example.test"}).email,
}
with open(file, "rb") as data:
    uploaded = client.v1.files.create({"purpose": "dispute_evidence", "file": data})
got["upload"] = {"length": uploaded.size, "sha256": uploaded.id.removeprefix("file_")}
print(json.dumps(got))
