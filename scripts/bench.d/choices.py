"""What the caller of `scripts/bench` may choose, checked before anything starts."""

import argparse

import machine
from goals import MANY_KEYS
from proxies import ALL, INTERCEPTORS, PREFIXES
from upstream import SIZES

# Many short rounds beat few long ones: the two sides of a ratio lie closer together, and the median has more to choose
# from when a neighbour disturbs some of them.
FULL = {"rounds": 11, "seconds": 1, "connections": (1, 32, 256), "sizes": tuple(SIZES), "filler_keys": MANY_KEYS}
QUICK = {"rounds": 7, "seconds": 1, "connections": (1, 32), "sizes": ("0.2KiB",), "filler_keys": 0}
# What a run may consist of: requests at the path door, interception beside fronts, memory, the number of keys.
PARTS = ("path", "intercept", "memory", "keys")
# Tunnels after which memory has to be what it was, and the length of a large download in MiB.
FULL_FRONTS = {"tunnels": 100_000, "download": 1024, "intercept_rounds": 7}
QUICK_FRONTS = {"tunnels": 5_000, "download": 256, "intercept_rounds": 3}
# Client and upstream connections both come out of the proxies' 8,192.
MOST_CONNECTIONS = 2_000
MOST_ROUNDS = 100
MOST_SECONDS = 60


def one_of(known):
    """A reader of comma lists that accepts only known words, each once."""
    def read(text):
        words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        unknown = [word for word in words if word not in known]
        if unknown or not words:
            raise argparse.ArgumentTypeError(f"expected some of {','.join(known)}, found {text!r}")
        return words
    return read


def whole(least, most):
    """A reader of whole numbers within bounds."""
    def read(text):
        try:
            number = int(text.replace("_", ""))
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, found {text!r}")
        return number
    return read


def whole_list(least, most):
    """A reader of comma lists of whole numbers within bounds."""
    read_one = whole(least, most)
    return lambda text: tuple(dict.fromkeys(read_one(part) for part in text.split(",")))


def pinning(text):
    """A reader of `--pin`."""
    try:
        return machine.choose_pinning(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parser():
    """All options."""
    options = argparse.ArgumentParser(
        prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures sidekey beside nginx, HAProxy and Envoy, interleaved, against one upstream that checks\n"
                    "the injected key, so that only authenticated, complete answers count. The main figure is\n"
                    "processor time per request of all threads and processes of a proxy; ratios are medians of\n"
                    "ratios within a round.\n\n"
                    "A run has four parts: `path` (requests in the clear at sidekey's path door and at reverse\n"
                    "proxies), `intercept` (HTTPS through CONNECT, opened with a certificate of sidekey's own, beside\n"
                    "the same proxies as fronts in TLS with a static certificate, and mitmproxy: connections that are\n"
                    "kept, fresh tunnels with a full handshake and with a resumed session, large downloads, blind\n"
                    "tunnels, memory over many tunnels), `memory` and `keys`.",
        epilog="exit status: 0 measured, 1 a cell is invalid or nothing could be measured (with --strict also when a\n"
               "goal is missed), 2 wrong use",
    )
    add = options.add_argument
    add("--quick", action="store_true",
        help="at most three minutes: small answers, 1 and 32 connections, 7 rounds, no interception; with "
             "`--parts intercept` interception alone, in as much time")
    add("--parts", type=one_of(PARTS), metavar="LIST",
        help=f"default {','.join(PARTS)}, with --quick path,memory")
    add("--proxies", type=one_of((*ALL, *INTERCEPTORS)), default=(*ALL, *INTERCEPTORS), metavar="LIST",
        help=f"default {','.join((*ALL, *INTERCEPTORS))}")
    add("--upstreams", type=one_of(tuple(PREFIXES)), default=tuple(PREFIXES), metavar="LIST",
        help=f"default {','.join(PREFIXES)}")
    add("--sizes", type=one_of(tuple(SIZES)), metavar="LIST", help=f"default {','.join(FULL['sizes'])}")
    add("--connections", type=whole_list(1, MOST_CONNECTIONS), metavar="LIST", help="default 1,32,256")
    add("--rounds", type=whole(1, MOST_ROUNDS), metavar="N", help=f"default {FULL['rounds']}")
    add("--seconds", type=whole(1, MOST_SECONDS), metavar="N", help="of each run; default 1")
    add("--filler-keys", type=whole(0, 1_000_000), metavar="N",
        help=f"measure sidekey with 10 keys and with N; 0 leaves it out; default {MANY_KEYS}, with --quick 0")
    add("--gate", action="store_true",
        help="measure only what the gate costs: sidekey without gates beside sidekey with them")
    add("--no-instructions", action="store_true", help="with --gate: leave out counting instructions by valgrind")
    add("--tunnels", type=whole(1_000, 10_000_000), metavar="N",
        help=f"fresh tunnels after which memory has to be what it was; default {FULL_FRONTS['tunnels']}, with --quick "
             f"{QUICK_FRONTS['tunnels']}")
    add("--download", type=whole(1, 16_384), metavar="MIB",
        help=f"the large download; default {FULL_FRONTS['download']}, with --quick {QUICK_FRONTS['download']}")
    add("--intercept-rounds", type=whole(1, MOST_ROUNDS), metavar="N",
        help=f"rounds of interception; default {FULL_FRONTS['intercept_rounds']}, with --quick "
             f"{QUICK_FRONTS['intercept_rounds']}")
    add("--pin", type=pinning, default="auto", metavar="PROXY:LOAD",
        help="cores for the proxies and for wrk with the upstream, for example 0:1 or 0:2-3; `none` pins nothing; "
             "default: the first core and the second")
    add("--sidekey", metavar="FILE", help="measure this binary instead of building one")
    add("--generator", metavar="FILE", help="load interception with this built generator instead of building one")
    add("--json", metavar="FILE", help="write everything, each round too, as JSON")
    add("--strict", action="store_true", help="exit 1 also when a goal is missed")
    add("--keep", action="store_true", help="leave the temporary folder with configurations and logs")
    add("--self-test", action="store_true", help="check the machinery of this program, in seconds")
    return options


def read(arguments):
    """The choices, with `--quick` or the full run standing in for what was not said. Exits 2 on wrong use."""
    chosen = parser().parse_args(arguments)
    parts = {"parts": ("path", "memory") if chosen.quick else PARTS}
    defaults = (QUICK | QUICK_FRONTS if chosen.quick else FULL | FULL_FRONTS) | parts
    for name, value in defaults.items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    return chosen
