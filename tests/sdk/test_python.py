"""Python SDKs as they come from the package index, told nothing but an address."""

import os
import unittest
from unittest import mock

import openai
import requests
import sendgrid
import stripe
from sendgrid.helpers.mail import Mail
from stage import DUMMY, Play

HELLO = [{"role": "user", "content": "hello there"}]


class OpenAi(Play):
    """openai, by the path door."""

    def client(self):
        return openai.OpenAI(api_key=DUMMY, base_url=f"{self.stage.proxy}/openai/v1", max_retries=0)

    def test_a_completion_comes_back(self):
        answer = self.client().chat.completions.create(model="gpt-large", messages=HELLO)
        self.said(answer)
        self.assertEqual(answer.choices[0].message.content, "You said: hello there")
        self.assertEqual(self.seen("openai")[0].path, "/v1/chat/completions")

    def test_a_stream_comes_event_by_event(self):
        stream = self.client().chat.completions.create(model="gpt-large", messages=HELLO, stream=True)
        events = list(stream)
        self.said(events)
        words = [event.choices[0].delta.content or "" for event in events]
        self.assertEqual("".join(words), "You said: hello there")
        self.assertEqual(len(events), 6)
        self.seen("openai")

    def test_models_are_listed(self):
        listed = self.client().models.list()
        self.said(listed)
        self.assertEqual([model.id for model in listed.data], ["gpt-large", "gpt-small"])
        self.seen("openai")

    def test_headers_of_the_answer_arrive(self):
        answer = self.client().chat.completions.with_raw_response.create(model="gpt-large", messages=HELLO)
        self.said(dict(answer.headers), answer.text)
        self.assertEqual(answer.headers["x-ratelimit-remaining-requests"], "499")
        self.seen("openai")


class OpenAiAsync(Play, unittest.IsolatedAsyncioTestCase):
    """openai's asynchronous client."""

    async def test_a_stream_comes_event_by_event(self):
        base = f"{self.stage.proxy}/openai/v1"
        async with openai.AsyncOpenAI(api_key=DUMMY, base_url=base, max_retries=0) as client:
            stream = await client.chat.completions.create(model="gpt-large", messages=HELLO, stream=True)
            words = [event.choices[0].delta.content or "" async for event in stream]
        self.assertEqual("".join(words), "You said: hello there")
        self.seen("openai")


class Stripe(Play):
    """stripe, by the path door."""

    def client(self):
        return stripe.StripeClient(DUMMY, base_addresses={"api": f"{self.stage.proxy}/stripe"}, max_network_retries=0)

    def test_a_charge_is_made_and_listed(self):
        client = self.client()
        made = client.v1.charges.create({"amount": 1250, "currency": "czk", "description": "seven pens & ink"})
        self.said(made, dict(made.last_response.headers))
        self.assertEqual((made.amount, made.description), (1250, "seven pens & ink"))
        listed = client.v1.charges.list({"limit": 3})
        self.said(listed)
        self.assertIn(made.id, [charge.id for charge in listed.data])
        post, get = self.seen("stripe")
        self.assertEqual((post.method, get.path, get.query), ("POST", "/v1/charges", "limit=3"))

    def test_the_older_interface_works_as_well(self):
        with mock.patch.object(stripe, "api_base", f"{self.stage.proxy}/stripe"):
            made = stripe.Customer.create(api_key=DUMMY, email="pens@example.com")
        self.said(made)
        self.assertEqual(made.email, "pens@example.com")
        self.seen("stripe")


class SendGrid(Play):
    """sendgrid, by the path door."""

    def test_a_mail_is_sent(self):
        client = sendgrid.SendGridAPIClient(api_key=DUMMY, host=f"{self.stage.proxy}/sendgrid")
        answer = client.send(Mail("a@example.com", "b@example.com", "Pens", plain_text_content="They are here."))
        self.said(str(answer.headers), answer.body)
        self.assertEqual(answer.status_code, 202)
        (request,) = self.seen("sendgrid")
        self.assertIn(b"They are here.", request.body)


class Requests(Play):
    """requests, by every door."""

    def ask(self, method, url, **more):
        answer = requests.request(method, url, timeout=20, **more)
        self.said(dict(answer.headers), answer.text)
        return answer

    def test_the_forward_door_speaks_tls_for_a_client_that_does_not(self):
        with mock.patch.dict(os.environ, {"HTTP_PROXY": self.stage.proxy, "http_proxy": self.stage.proxy}):
            answer = self.ask("GET", "http://api.stripe.com/v1/charges", headers={"Authorization": f"Bearer {DUMMY}"})
        self.assertEqual((answer.status_code, answer.json()["object"]), (200, "list"))
        self.seen("stripe")

    def test_a_header_key_replaces_the_clients_own_value(self):
        own = {"x-api-KEY": DUMMY}
        answer = self.ask("POST", f"{self.stage.proxy}/metrics/v1/points", json={"points": [1, 2]}, headers=own)
        self.assertEqual((answer.status_code, answer.json()), (200, {"accepted": 2}))
        self.seen("metrics")

    def test_a_query_key_leaves_the_rest_of_the_query_alone(self):
        url = f"{self.stage.proxy}/weather/v1/forecast?q=Brno%20%2B&api_key={DUMMY}&empty=&q=b"
        answer = self.ask("GET", url)
        self.assertEqual(answer.json()["query"], [["q", "Brno +"], ["empty", ""], ["q", "b"]])
        (request,) = self.seen("weather")
        self.assertIn("q=Brno%20%2B&", request.query)

    def test_the_host_door_goes_by_the_name(self):
        answer = self.ask("GET", f"{self.stage.proxy}/v1/charges", headers={"Host": f"stripe.localhost:{self.stage.port}"})
        self.assertEqual(answer.json()["object"], "list")
        self.seen("stripe")

    def test_an_unknown_service_is_refused_by_sidekey_itself(self):
        answer = self.ask("GET", f"{self.stage.proxy}/no-such-service/v1")
        self.assertEqual((answer.status_code, answer.json()["code"]), (404, "service_unknown"))
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        self.assertEqual(len(self.stage.vendors.seen()), self.before)
