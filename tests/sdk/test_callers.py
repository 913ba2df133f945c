"""Workflows with tokens of their own: an SDK that insists on an API key is given its workflow's token instead."""

import openai
import requests
from stage import DUMMY, Play, Stage


class Callers(Play):
    """A stage on which nobody is let in without a token."""

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(callers="token")
        cls.addClassCleanup(cls.stage.close)
        cls.token = cls.stage.caller("nightly-etl")

    def ask(self, url, **more):
        answer = requests.get(url, timeout=20, **more)
        self.said(dict(answer.headers), answer.text)
        return answer

    def refused(self, answer, status):
        self.assertEqual((answer.status_code, answer.json()["code"]), (status, "caller_unknown"))
        self.assertEqual(len(self.stage.vendors.seen()), self.before, "a refused request reached the vendor")

    def test_the_token_stands_in_for_the_key(self):
        client = openai.OpenAI(api_key=self.token, base_url=f"{self.stage.proxy}/openai/v1", max_retries=0)
        self.assertEqual(len(client.models.list().data), 2)
        self.seen("openai")

    def test_the_token_stands_where_the_service_wants_its_key(self):
        answer = self.ask(f"{self.stage.proxy}/weather/v1/forecast?q=Brno&api_key={self.token}")
        self.assertEqual(answer.json()["query"], [["q", "Brno"]])
        self.seen("weather")

    def test_a_proxy_address_carries_name_and_token(self):
        proxy = f"http://nightly-etl:{self.token}@127.0.0.1:{self.stage.port}"
        answer = self.ask("http://api.stripe.com/v1/charges", proxies={"http": proxy})
        self.assertEqual(answer.status_code, 200)
        self.seen("stripe")

    def test_a_stranger_is_refused_at_every_door(self):
        own = {"Authorization": f"Bearer {DUMMY}"}
        self.refused(self.ask(f"{self.stage.proxy}/openai/v1/models", headers=own), 401)
        self.refused(self.ask(f"{self.stage.proxy}/openai/v1/models"), 401)
        self.refused(self.ask("http://api.stripe.com/v1/charges", proxies={"http": self.stage.proxy}), 407)
        wrong = f"http://nightly-etl:{DUMMY}@127.0.0.1:{self.stage.port}"
        self.refused(self.ask("http://api.stripe.com/v1/charges", proxies={"http": wrong}), 407)
