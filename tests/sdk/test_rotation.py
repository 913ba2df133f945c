"""A key is rotated under workflows that know nothing of it and are in the middle of their work."""

import threading
import time

import openai
import requests
from stage import DUMMY, Play


class Worker(threading.Thread):
    """Asks without a pause until it is told to stop; keeps what went wrong."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask = ask
        self.done = 0
        self.failures = []
        self.enough = threading.Event()

    def run(self):
        while not self.enough.is_set():
            try:
                self.ask()
                self.done += 1
            except Exception as failure:  # whatever it is, the test reports it
                self.failures.append(repr(failure))
                time.sleep(0.01)

    def stop(self):
        """Waits for the request under way."""
        self.enough.set()
        self.join(20)


class Rotation(Play):
    """Rotation."""

    def openai_worker(self):
        client = openai.OpenAI(api_key=DUMMY, base_url=f"{self.stage.proxy}/openai/v1", max_retries=0)
        messages = [{"role": "user", "content": "on and on"}]

        def ask():
            stream = client.chat.completions.create(model="gpt-small", messages=messages, stream=True)
            text = "".join(event.choices[0].delta.content or "" for event in stream)
            assert text == "You said: on and on", text

        return Worker(ask)

    def requests_worker(self):
        session = requests.Session()

        def ask():
            session.get(f"{self.stage.proxy}/openai/v1/models", timeout=20).raise_for_status()

        return Worker(ask)

    def wait_for(self, what, holds, at_most=20.0):
        """Seconds until it is so."""
        started = time.monotonic()
        while not holds():
            self.assertLess(time.monotonic() - started, at_most, what)
            time.sleep(0.005)
        return time.monotonic() - started

    def bearing(self, key):
        """The requests that came with this key."""
        return [request for request in self.stage.vendors.seen("openai") if request.count(key)]

    def test_workflows_go_on_while_their_key_changes(self):
        vendors, old = self.stage.vendors, self.stage.keys["openai"]
        workers = [self.openai_worker(), self.openai_worker(), self.requests_worker()]
        for worker in workers:
            worker.start()
        self.wait_for("the workers are at work", lambda: all(worker.done >= 3 for worker in workers))
        new = self.stage.rotate("openai")
        self.wait_for("the new key is in use", lambda: self.bearing(new), at_most=5.0)
        so_far = [worker.done for worker in workers]
        went_on = lambda: all(w.done >= before + 2 for w, before in zip(workers, so_far))
        self.wait_for("what was under way has ended", went_on)
        revoked = time.monotonic()
        vendors.accept("openai", new)  # now the vendor revokes the old one
        so_far = [worker.done for worker in workers]
        self.wait_for("work goes on", lambda: all(w.done >= before + 3 for w, before in zip(workers, so_far)))
        for worker in workers:
            worker.stop()
        self.assertEqual([worker.failures for worker in workers], [[], [], []])
        late = [request for request in self.bearing(old) if request.at > revoked]
        self.assertEqual(late, [], "the old key was used after the new one was in use")
        for request in vendors.seen()[self.before :]:
            self.assertEqual(request.count(old) + request.count(new), 1)
            self.assertEqual(request.count(DUMMY), 0)
