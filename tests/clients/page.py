"""The table in docs/clients.md: what the matrix found, between two marks."""

import os
import pathlib

from matrix import CELLS

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "clients.md"
BEGIN, END = "<!-- matrix: written by tests/clients -->\n", "<!-- end of the matrix -->\n"
HEAD = "| client | GET | POST | streaming | 10 MiB upload | WebSocket | gRPC | what you add |\n"


def row(client, cells):
    """A client's line."""
    columns = [client.title, *("✓" if works else "" for works in cells), client.beyond]
    return "|" + "".join(f" {column} |" if column else " |" for column in columns) + "\n"


def compare(found):
    """Fails when the page says something else of a client that ran; or writes it."""
    page = PAGE.read_text(encoding="utf-8")
    rows = [row(client, cells) for client, cells in found.items()]
    if os.environ.get("SIDEKEY_WRITE_CLIENTS") == "1":
        before, _, rest = page.partition(BEGIN)
        after = rest.partition(END)[2]
        table = HEAD + "|---|" + ":-:|" * len(CELLS) + "---|\n" + "".join(rows)
        PAGE.write_text(f"{before}{BEGIN}{table}{END}{after}", encoding="utf-8")
        return
    absent = [one for one in rows if one not in page]
    wrong = "".join(absent)
    assert not absent, f"docs/clients.md says otherwise (SIDEKEY_WRITE_CLIENTS=1 writes it anew):\n{wrong}"
