#!/usr/bin/env python3
"""The files of deploy/ and what they rely on, against the real program (its path in SIDEKEY_BIN).

systemd's own tools read the units; the proxy is given sockets and told on in systemd's protocols, restarted under load, and
watched. The Kubernetes manifest is held against the API's schema, the Dockerfile against what it promises. The last line is
`N passed, M failed`.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))

from ports import free_ports  # noqa: E402  (found only after the line above)

DEPLOY = ROOT / "deploy"
BINARY = os.environ["SIDEKEY_BIN"]
WAIT = 20


class Folder:
    """A folder with a proxy.toml that listens on `port`."""

    def __init__(self, path, port):
        self.path = Path(path)
        self.port = port
        self.config = self.path / "proxy.toml"
        self.config.write_text(f'[listen]\nproxy = "127.0.0.1:{port}"\nconsole = "off"\n', encoding="utf-8")
        self.config.chmod(0o600)


@contextlib.contextmanager
def folder():
    """A fresh folder."""
    with tempfile.TemporaryDirectory() as path:
        yield Folder(path, *free_ports(1))


def serve(place, listener=None, **variables):
    """Starts the proxy; with `listener` as the socket that it inherits, as systemd would give it."""
    environment = {**os.environ, **variables}
    command = [BINARY, "--config", str(place.config), "serve"]
    log = open(place.path / "log", "ab")  # noqa: SIM115  (lives as long as the process)
    if listener is None:
        return subprocess.Popen(command, cwd=place.path, env=environment, stderr=log)
    # The number of the process is known only in it: the shell puts it into the environment and becomes the proxy.
    script = f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
    return subprocess.Popen(["sh", "-c", script, "sh", *command], cwd=place.path, env=environment, stderr=log,
                            pass_fds=[listener.fileno()])


def stop(process):
    """Ends it and gives its exit code."""
    process.terminate()
    return process.wait(WAIT)


def health(port, timeout=WAIT):
    """The status of /-/health, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/-/health")
        return connection.getresponse().status
    finally:
        connection.close()


def until(condition, what):
    """Waits for a condition."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {WAIT} s")


def run(*command):
    """Runs a tool; gives its exit code and everything it printed."""
    done = subprocess.run(command, text=True, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def the_units_are_good_to_systemd():
    with tempfile.TemporaryDirectory() as path:
        unit = Path(path) / "sidekey.service"
        text = (DEPLOY / "sidekey.service").read_text(encoding="utf-8")
        unit.write_text(text.replace("/usr/local/bin/sidekey", BINARY), encoding="utf-8")
        (Path(path) / "sidekey.socket").write_text((DEPLOY / "sidekey.socket").read_text(encoding="utf-8"), encoding="utf-8")
        code, said = run("systemd-analyze", "verify", "--man=no", str(unit), str(Path(path) / "sidekey.socket"))
        ours = [line for line in said.splitlines() if "sidekey" in line]
        assert code == 0 and not ours, said


def the_service_is_exposed_to_little():
    code, said = run("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager",
                     str(DEPLOY / "sidekey.service"))
    assert code == 0, said
    level = re.search(r"exposure level for sidekey.service: ([0-9.]+)", said)
    assert level and float(level.group(1)) <= 1.5, said


def systemd_starts_it_at_the_first_connection():
    with folder() as place:
        activate = subprocess.Popen(
            ["systemd-socket-activate", "-l", f"127.0.0.1:{place.port}", BINARY, "--config", str(place.config), "serve"],
            cwd=place.path, stderr=subprocess.DEVNULL)
        try:
            until(lambda: health(place.port) == 200, "an answer")
        finally:
            activate.terminate()
            activate.wait(WAIT)


def a_socket_that_the_file_does_not_name_is_refused():
    with folder() as place, socket.create_server(("127.0.0.1", 0)) as other:
        process = serve(place, other)
        assert process.wait(WAIT) == 1
        said = (place.path / "log").read_text(encoding="utf-8")
        assert "is no address under [listen]" in said, said


def nobody_is_refused_while_it_is_restarted():
    with folder() as place, socket.create_server(("127.0.0.1", place.port), backlog=1024) as listener:
        failures, counts, done = [], [0] * 4, threading.Event()

        def ask(number):
            while not done.is_set():
                connection, held_up = http.client.HTTPConnection("127.0.0.1", place.port, timeout=WAIT), 0
                try:
                    connection.connect()
                    connected = time.monotonic()
                    connection.putrequest("GET", "/-/health")
                    # On a busy machine; a request is waited for two seconds, and one that comes later is not refused.
                    held_up = time.monotonic() - connected
                    connection.endheaders()
                    status = connection.getresponse().status
                    if status != 200:
                        failures.append(status)
                    counts[number] += 1
                except (OSError, http.client.HTTPException) as error:
                    if held_up < 1:
                        failures.append(repr(error))
                finally:
                    connection.close()

        process = serve(place, listener)
        until(lambda: health(place.port) == 200, "an answer")
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(counts))]
        for thread in threads:
            thread.start()
        for _ in range(4):
            before = sum(counts)
            until(lambda before=before: sum(counts) > before + 50, "load")
            assert stop(process) == 0
            process = serve(place, listener)
        before = sum(counts)
        until(lambda: sum(counts) > before + 50, "load after the restarts")
        done.set()
        for thread in threads:
            thread.join()
        stop(process)
        assert not failures, failures[:5]
        print(f"         {sum(counts)} requests over 4 restarts, none refused")


class Supervisor:
    """Hears what a process says in sd_notify's protocol."""

    def __init__(self, place):
        self.path = str(place.path / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(WAIT)

    def hears(self, word):
        """Waits for a message with this line."""
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            if word in lines:
                return lines

    def is_silent_for(self, seconds):
        """Whether no message comes for so long."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(4096)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(WAIT)
        return False


def its_supervisor_is_told():
    with folder() as place:
        supervisor = Supervisor(place)
        process = serve(place, NOTIFY_SOCKET=supervisor.path, WATCHDOG_USEC="2000000")
        supervisor.hears("READY=1")
        assert health(place.port) == 200, "the doors are open when it says so"
        supervisor.hears("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        assert any(line.startswith("MONOTONIC_USEC=") for line in supervisor.hears("RELOADING=1"))
        supervisor.hears("READY=1")
        process.terminate()
        supervisor.hears("STOPPING=1")
        assert process.wait(WAIT) == 0


def a_probe_tells_whether_it_is_ready():
    with folder() as place:
        check = [BINARY, "--config", str(place.config), "check", "--running"]
        code, said = run(*check)
        assert code == 1 and f"the proxy is not ready at 127.0.0.1:{place.port}" in said, said
        process = serve(place)
        until(lambda: health(place.port) == 200, "an answer")
        assert run(*check)[0] == 0
        stop(process)


def configurations_in(text):
    """The proxy.toml that a YAML file holds as a block of text."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if re.match(r"\s*(proxy\.toml|content): \|$", line):
            indent = len(lines[at + 1]) - len(lines[at + 1].lstrip())
            block = []
            for other in lines[at + 1:]:
                if other.strip() and len(other) - len(other.lstrip()) < indent:
                    break
                block.append(other[indent:])
            yield "\n".join(block) + "\n"


def the_configurations_in_the_examples_are_good():
    for name in ("compose.yaml", "kubernetes.yaml"):
        found = list(configurations_in((DEPLOY / name).read_text(encoding="utf-8")))
        assert len(found) == 1, name
        with tempfile.TemporaryDirectory() as path:
            config = Path(path) / "proxy.toml"
            config.write_text(found[0], encoding="utf-8")
            config.chmod(0o600)
            code, said = run(BINARY, "--config", str(config), "check")
            assert code == 0, said


def the_manifest_fits_the_schema_of_kubernetes():
    from kubernetes_validate import utils
    import yaml

    with open(DEPLOY / "kubernetes.yaml", encoding="utf-8") as file:
        documents = list(yaml.safe_load_all(file))
    assert [document["kind"] for document in documents] == ["ConfigMap", "Deployment", "NetworkPolicy"]
    for document in documents:
        utils.validate(document, "1.31", strict=True)
    pod = documents[1]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    sidecar, worker = pod["initContainers"][0], pod["containers"][0]
    assert sidecar["restartPolicy"] == "Always", "a native sidecar"
    for container in (sidecar, worker):
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounts = {mount["name"] for mount in worker.get("volumeMounts", [])}
    assert not mounts & {"keys", "state"}, "the worker sees no key"


def the_example_for_compose_fits_its_specification():
    import compose_spec

    parsed = compose_spec.PyCompose.from_yaml((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    parsed.validate()


def the_example_for_compose_gives_the_worker_nothing():
    import yaml

    with open(DEPLOY / "compose.yaml", encoding="utf-8") as file:
        services = yaml.safe_load(file)["services"]
    assert services["sidekey"]["read_only"] and services["sidekey"]["cap_drop"] == ["ALL"]
    assert services["worker"]["network_mode"] == "service:sidekey"
    assert not {"secrets", "volumes", "configs"} & services["worker"].keys()


def the_image_is_not_root_and_brings_what_it_names():
    from dockerfile_parse import DockerfileParser

    with open(DEPLOY / "Dockerfile", "rb") as file:
        parsed = DockerfileParser(fileobj=file)
        steps = [(step["instruction"], step["value"]) for step in parsed.structure if step["instruction"] != "COMMENT"]
    last = [value for instruction, value in steps if instruction == "USER"][-1]
    assert last.split(":")[0] not in ("0", "root"), last
    for instruction, value in steps:
        if instruction == "COPY" and "--from" not in value:
            for source in value.split()[:-1]:
                assert (ROOT / source).exists(), f"{source} is not there to be copied"
    entry = [value for instruction, value in steps if instruction == "ENTRYPOINT"]
    assert entry == ['["/usr/local/bin/sidekey", "--config", "/etc/sidekey/proxy.toml"]'], entry


def the_image_is_made_as_it_should_be():
    code, said = run(str(Path(sys.executable).parent / "hadolint"), str(DEPLOY / "Dockerfile"))
    assert code == 0 and not said, said


def copied_into_the_image():
    """What the Dockerfile copies out of the project, by its path there."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copies = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
    return [source for sources in copies for source in sources]


def the_image_copies_all_that_it_is_built_from():
    with tempfile.TemporaryDirectory() as path:
        for source in copied_into_the_image():
            target = Path(path) / source
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target)
            else:
                shutil.copy(ROOT / source, target)
        # Reads the manifest with its targets and the lock, as the build begins with.
        code, said = run("cargo", "metadata", "--locked", "--no-deps", "--format-version=1", "--quiet",
                         f"--manifest-path={path}/Cargo.toml")
        assert code == 0, said
        for file in (Path(path) / "src").rglob("*.rs"):
            if "tests" in file.relative_to(path).as_posix():
                continue
            for name in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', file.read_text(encoding="utf-8")):
                assert (file.parent / name).exists(), f"{file.relative_to(path)} includes {name}, which is not copied"


def commands_in(name):
    """The command lines of sidekey in a file: lists that begin with its path, and the image's entry point with its command."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    lists = [json.loads(found) for found in re.findall(r'\["[^\]\n]*"\]', text)]
    lists = [words[1:] if words[0] == "CMD" else words for words in lists]
    entry = next((words for words in lists if words[0].endswith("/sidekey") and words[-1].endswith(".toml")), None)
    for words in lists:
        if words[0].endswith("/sidekey") and words is not entry:
            yield words[1:]
        elif entry and words[0] in ("serve", "up"):
            yield entry[1:] + words


def every_command_in_the_files_exists():
    found = [(name, words) for name in ("Dockerfile", "compose.yaml", "kubernetes.yaml") for words in commands_in(name)]
    unit = (DEPLOY / "sidekey.service").read_text(encoding="utf-8")
    found += [("sidekey.service", line.split()[1:]) for line in re.findall(r"^Exec\w+=(\S*sidekey .*)$", unit, re.MULTILINE)]
    assert {name for name, _ in found} >= {"Dockerfile", "compose.yaml", "sidekey.service"}, found
    for name, words in found:
        code, said = run(BINARY, *words, "--help")
        assert code == 0 and "Usage: sidekey" in said, f"{name}: {words}: {said}"


TESTS = [
    the_units_are_good_to_systemd,
    the_service_is_exposed_to_little,
    systemd_starts_it_at_the_first_connection,
    a_socket_that_the_file_does_not_name_is_refused,
    nobody_is_refused_while_it_is_restarted,
    its_supervisor_is_told,
    a_probe_tells_whether_it_is_ready,
    the_configurations_in_the_examples_are_good,
    the_manifest_fits_the_schema_of_kubernetes,
    the_example_for_compose_fits_its_specification,
    the_example_for_compose_gives_the_worker_nothing,
    the_image_is_not_root_and_brings_what_it_names,
    the_image_is_made_as_it_should_be,
    the_image_copies_all_that_it_is_built_from,
    every_command_in_the_files_exists,
]


def main():
    """Runs all of them."""
    failed = 0
    for test in TESTS:
        try:
            test()
            print(f"ok       {test.__name__}")
        except Exception:  # noqa: BLE001  (whatever goes wrong is a failed test)
            failed += 1
            print(f"FAILED   {test.__name__}")
            traceback.print_exc()
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
