"""What is fetched from the origin: a wheel, a package of npm's, a repository of git's."""

import io
import os
import subprocess
import tarfile
import zipfile


def wheel():
    """The smallest wheel there is."""
    files = {
        "matrix_parcel.py": 'CONTENT = "from the index"\n',
        "matrix_parcel-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: matrix-parcel\nVersion: 1.0\n",
        "matrix_parcel-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: matrix\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    names = [*files, "matrix_parcel-1.0.dist-info/RECORD"]
    files[names[-1]] = "".join(f"{name},,\n" for name in names)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def tarball():
    """The smallest package of npm's there is."""
    files = {
        "package/package.json": '{"name": "matrix-parcel", "version": "1.0.0", "main": "index.js"}\n',
        "package/index.js": 'module.exports = "from the registry";\n',
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


WHEEL, TARBALL = wheel(), tarball()


def repository(folder):
    """A bare repository with one commit, that takes pushes."""
    bare, work = folder / "repositories" / "parcel.git", folder / "work"
    for words in (
        ["init", "--quiet", "--bare", "--initial-branch=main", bare],
        ["-C", bare, "config", "http.receivepack", "true"],
        ["init", "--quiet", "--initial-branch=main", work],
    ):
        git(folder, *words)
    (work / "content").write_text("from the repository\n")
    git(folder, "-C", work, "add", "content")
    git(folder, "-C", work, "commit", "--quiet", "-m", "Begin")
    git(folder, "-C", work, "push", "--quiet", bare, "main")


def git(folder, *words):
    """Git with settings of its own."""
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Matrix"), ("EMAIL", "matrix@example.test"))
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **who}
    subprocess.run(["git", *map(str, words)], env=environment, check=True, capture_output=True, timeout=60)
