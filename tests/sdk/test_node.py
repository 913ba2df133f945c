"""Node SDKs as they come from the package index. Each part of node/*.cjs is a process of its own; it prints what it got
as JSON.
"""

import json
import os
import pathlib
import shutil
import subprocess
import unittest

from stage import DUMMY, Play

HERE = pathlib.Path(__file__).parent / "node"


@unittest.skipUnless(shutil.which("node"), "node is not installed")
@unittest.skipUnless(os.environ.get("SDK_NODE_MODULES"), "the Node SDKs are not installed")
class Node(Play):
    """Node."""

    def node(self, script, part, **more):
        """What part `part` of a script prints."""
        modules = os.environ["SDK_NODE_MODULES"]
        environment = self.stage.environment(NODE_PATH=modules, PROXY=self.stage.proxy, DUMMY=DUMMY, **more)
        done = subprocess.run(
            ["node", str(HERE / script), part],
            capture_output=True,
            env=environment,
            timeout=60,
            check=False,
        )
        self.said(done.stdout.decode(), done.stderr.decode())
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)


class OpenAi(Node):
    """openai, by the path door."""

    def test_a_completion_comes_back(self):
        self.assertEqual(self.node("openai.cjs", "chat"), "You said: hello there")
        self.seen("openai")

    def test_a_stream_comes_event_by_event(self):
        self.assertEqual(self.node("openai.cjs", "stream"), {"text": "You said: hello there", "events": 6})
        self.seen("openai")

    def test_models_are_listed(self):
        self.assertEqual(self.node("openai.cjs", "models"), ["gpt-large", "gpt-small"])
        self.seen("openai")


class Stripe(Node):
    """stripe, which takes a host and no path: by the host and forward doors."""

    def test_the_host_door(self):
        got = self.node("stripe.cjs", "host")
        self.assertEqual((got["amount"], got["listed"]), (990, True))
        self.assertEqual([request.method for request in self.seen("stripe")], ["POST", "GET"])

    def test_the_forward_door(self):
        got = self.node("stripe.cjs", "forward")
        self.assertEqual((got["amount"], got["listed"]), (990, True))
        self.seen("stripe")
