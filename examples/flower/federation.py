"""A whole federation on this machine: own CA, TLS on every link, registered SuperNode keys, and teachers of their own.

    python examples/flower/federation.py start     # certificates, keys, silos, teachers, SuperLink, SuperNodes
    python examples/flower/federation.py run       # the experiment over Flower; again: goes on where it was
    python examples/flower/federation.py stop      # ends what start has started, and nothing else

Everything lies in one folder (--folder, default: federation). On real machines each part of `start` is done by another
person: docs/deployment.md says who does what. Needs social-learning[flower], openssl and ssh-keygen, on Linux.
"""

import argparse
import contextlib
import grp
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from social_learning.config import load_experiment
from social_learning.flower import SWITCHED_OFF

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
MARK = "SOCIAL_LEARNING_FEDERATION"
"""The variable that tells processes of one federation from all others."""

READY = 900.0
"""Seconds that a part has to get ready: one that is broken ends sooner, and a busy machine needs minutes."""

COURIERS_GET = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")
"""What a SuperNode gets of the environment, besides a home: every bundle that is submitted can read it. No key of an API, and no
path of data."""

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
"""How openssl makes a key beside a certificate."""


class Federation:
    """The folder of one federation, and the processes it has started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.file = self.folder / "federation.json"
        self.state: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def save(self) -> None:
        """Write down what is running, for `run` and `stop`."""
        self.file.write_text(json.dumps(self.state, indent=2) + "\n")

    def environment(self, home: str) -> dict[str, str]:
        """What a process of the federation gets: Flower's outgoing connections off, a home of its own, the mark."""
        path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
        return {
            **os.environ,
            **SWITCHED_OFF,
            "PATH": path,
            "FLWR_HOME": str(self.folder / home),
            MARK: self.state["mark"],
        }

    def couriers_environment(self, home: str) -> dict[str, str]:
        """What a SuperNode gets: of the environment only what it needs."""
        names = {*COURIERS_GET, *SWITCHED_OFF, "FLWR_HOME", MARK}
        allowed = {name: value for name, value in self.environment(home).items() if name in names}
        return {**allowed, "HOME": str(self.folder / home)}

    def runs(self, name: str) -> bool:
        """Whether a process that was started is still there."""
        return self.state["processes"].get(name) in marked(self)

    def spawn(
        self, name: str, command: list[str], environment: dict[str, str], user: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process that outlives this one; its output goes to NAME.log."""
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as stream:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, start_new_session=True, user=user, group=user and _group(user),
                extra_groups=[] if user else None,
            )  # fmt: skip
        self.state["processes"][name] = process.pid
        self.save()
        return process

    def flwr(self, *arguments: str) -> dict[str, Any]:
        """Run a command of flwr as the one who submits runs, and return what it says."""
        done = subprocess.run(
            [str(BIN / "flwr"), *arguments, "--format", "json"],
            cwd=self.folder, env=self.environment("student"), capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            told: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise SystemExit(f"flwr {arguments[0]} failed: {done.stdout}{done.stderr}") from None
        # Errors come with exit code 0 too.
        if not told.get("success", True):
            raise SystemExit(f"flwr {arguments[0]} failed: {told.get('error-message', told)}")
        return told


def start(folder: Path, experiment: Path, courier: str | None) -> None:
    """Make everything that is not there yet, and start what is not running."""
    federation = Federation(folder)
    federation.folder.mkdir(parents=True, exist_ok=True)
    state = {"mark": secrets.token_hex(16), "processes": {}, "nodes": {}, "port": _free_port()}
    federation.state = {**state, **federation.state, "experiment": str(experiment.resolve())}
    federation.save()
    names = load_experiment(experiment).teacher_names
    _certificates(federation.folder, names)
    silos = federation.folder / "silos"
    if not silos.exists():
        _call(str(BIN / "python"), "-m", "social_learning.cli", "teacher", "split", str(experiment), str(silos))
    for name in names:
        if not federation.runs(f"teacher-{name}"):
            _start_teacher(federation, name, courier)
    if not federation.runs("superlink"):
        _end_orphans(federation)
        _start_superlink(federation)
    for name in names:
        _register(federation, name)
        if not federation.runs(f"supernode-{name}"):
            _start_supernode(federation, name, courier)
    _wait("the SuperNodes", lambda: online(federation) == len(names))
    print(
        f"{len(names)} teachers, a SuperLink on port {federation.state['port']} and {len(names)} SuperNodes are running"
    )
    if not courier:
        print(
            "SuperNodes run under your own account: the code of a bundle can read the silos. Use --courier USER for real ones."
        )


def _register(federation: Federation, name: str) -> None:
    """Make a SuperNode's key, and let the SuperLink know it: who has no such key takes no part."""
    key = federation.folder / "keys" / name
    key.parent.mkdir(exist_ok=True)
    if not key.exists():
        _call("ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "", "-C", name, "-f", str(key))
    if name not in federation.state["nodes"]:
        told = federation.flwr("supernode", "register", f"{key}.pub")
        federation.state["nodes"][name] = told["node-id"]
        federation.save()


def _end_orphans(federation: Federation) -> None:
    """End the ServerApps that a killed SuperLink left behind: one that still runs holds its run folder."""
    for pid in marked(federation):
        with contextlib.suppress(OSError):
            if b"flwr-serverapp" in Path(f"/proc/{pid}/cmdline").read_bytes():
                _signal(pid, signal.SIGKILL)


def _start_superlink(federation: Federation) -> None:
    """Start the SuperLink, which listens on this machine only, and point flwr at it."""
    port, tls = str(federation.state["port"]), federation.folder / "certificates"
    command = [
        str(BIN / "flower-superlink"), "--host", "127.0.0.1", "--port", port, "--enable-supernode-auth",
        "--ssl-ca-certfile", str(tls / "ca.crt"), "--ssl-certfile", str(tls / "superlink.crt"),
        "--ssl-keyfile", str(tls / "superlink.key"), "--database", str(federation.folder / "superlink.db"),
    ]  # fmt: skip
    home = federation.folder / "student"
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "federation"\n[superlink.federation]\naddress = "127.0.0.1:{port}"\n'
        f'root-certificates = "{tls / "ca.crt"}"\n'
    )
    process = federation.spawn("superlink", command, federation.environment("superlink"))
    _wait("the SuperLink", lambda: _listens(int(port)), process)


def _start_supernode(federation: Federation, name: str, courier: str | None = None) -> None:
    """Start the SuperNode of a teacher: it knows the teacher's socket, and nothing private."""
    tls, silo = federation.folder / "certificates", federation.folder / "silos" / name
    key = federation.folder / "keys" / name
    if courier:
        home = federation.folder / name
        home.mkdir(exist_ok=True)
        for path in (home, key, tls / f"{name}.key"):
            shutil.chown(path, courier)
    command = [
        str(BIN / "flower-supernode"), "--superlink", f"127.0.0.1:{federation.state['port']}",
        "--root-certificates", str(tls / "ca.crt"), "--auth-supernode-private-key", str(key),
        "--host", "127.0.0.1", "--port", str(_free_port()), "--ssl-ca-certfile", str(tls / "ca.crt"),
        "--ssl-certfile", str(tls / f"{name}.crt"), "--ssl-keyfile", str(tls / f"{name}.key"),
        "--node-config", f'teacher="{name}" socket="{_socket(silo)}"',
    ]  # fmt: skip
    process = federation.spawn(f"supernode-{name}", command, federation.couriers_environment(name), courier)
    time.sleep(1)
    if process.poll() is not None:
        raise SystemExit(f"the SuperNode of {name} ended with code {process.returncode}: see the logs folder")


def run(folder: Path, app: Path, out: Path | None) -> int:
    """Submit the app, wait for its end, and show its log."""
    federation = Federation(folder)
    if not federation.state or not federation.runs("superlink"):
        raise SystemExit(f"{folder} is not running: start it first")
    where = (out or federation.folder / "run").resolve()
    told = federation.flwr(
        "run", str(app.resolve()), "--run-config", f'experiment="{federation.state["experiment"]}" out="{where}"'
    )
    entry = _wait_for_run(federation, str(told["run-id"]))
    (federation.folder / "logs" / "run.log").write_text(_log(federation, str(told["run-id"])))
    print(f"run {told['run-id']}: {entry['status']} {entry['status-details']}; its folder is {where}")
    return 0 if entry["status"] == "finished:completed" else 1


def _wait_for_run(federation: Federation, run_id: str) -> dict[str, Any]:
    """Wait until a run has ended, and return what Flower says of it."""
    while True:
        entry: dict[str, Any]
        (entry,) = federation.flwr("list", "--run-id", run_id)["runs"]
        if str(entry["status"]).startswith("finished"):
            return entry
        time.sleep(1)


def stop(folder: Path) -> None:
    """End the federation's processes, and those that these have started: all carry its mark."""
    federation = Federation(folder)
    if not federation.state:
        raise SystemExit(f"{folder} holds no federation")
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 10
        for pid in marked(federation):
            _signal(pid, number)
        while marked(federation) and time.monotonic() < deadline:
            time.sleep(0.2)
    federation.state["processes"] = {}
    federation.save()
    print("stopped")


def marked(federation: Federation) -> list[int]:
    """The ids of all processes that carry the federation's mark, this one not among them."""
    wanted, found = f"{MARK}={federation.state['mark']}".encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
                ended = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if wanted in variables and not ended:
                found.append(int(folder.name))
    return found


def online(federation: Federation) -> int:
    """How many SuperNodes are online."""
    nodes = federation.flwr("supernode", "list")["nodes"]
    return sum(node["status"] == "online" for node in nodes)


def _start_teacher(federation: Federation, name: str, courier: str | None) -> None:
    silo = federation.folder / "silos" / name
    lines = (silo / "silo.toml").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(("socket = ", "courier_group = ")))
    settings = f'socket = "{_socket(silo)}"\n' + (f'courier_group = "{_group(courier)}"\n' if courier else "")
    (silo / "silo.toml").write_text(settings + text)
    _socket(silo).parent.mkdir(exist_ok=True)
    command = [str(BIN / "python"), "-m", "social_learning.cli", "teacher", "serve", str(silo / "silo.toml")]
    process = federation.spawn(f"teacher-{name}", command, federation.environment(name))
    _wait(f"the teacher {name}", lambda: _answers(_socket(silo)), process)


def _socket(silo: Path) -> Path:
    # In a folder of its own, which a courier may enter; the silo's folder it may not.
    return silo.parent.parent / "sockets" / f"{silo.name}.sock"


def _certificates(folder: Path, names: tuple[str, ...]) -> None:
    """Make a CA, and a certificate for each program that listens; keys are their owner's alone."""
    tls = folder / "certificates"
    tls.mkdir(exist_ok=True)
    ca, ca_key = str(tls / "ca.crt"), str(tls / "ca.key")
    if not Path(ca).exists():
        _call(
            "openssl", "req", "-x509", *NEW_KEY, "-days", "30", "-keyout", ca_key, "-out", ca,
            "-subj", "/CN=federation ca", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
        (tls / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("superlink", *names):
        if not (tls / f"{name}.crt").exists():
            key, request, certificate = (str(tls / f"{name}.{end}") for end in ("key", "csr", "crt"))
            _call(
                "openssl", "req", *NEW_KEY, "-keyout", key, "-out", request,
                "-subj", "/CN=localhost",
            )  # fmt: skip
            _call(
                "openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
                "-days", "30", "-out", certificate, "-extfile", str(tls / "names"),
            )  # fmt: skip


def _log(federation: Federation, run_id: str) -> str:
    done = subprocess.run(
        [str(BIN / "flwr"), "log", run_id, "--show"],
        cwd=federation.folder, env=federation.environment("student"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout


def _group(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr.strip()}")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _answers(path: Path) -> bool:
    # The socket of a killed teacher is still a file.
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def _wait(what: str, ready: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + READY
    while not ready():
        if process is not None and process.poll() is not None:
            raise SystemExit(f"{what} ended with code {process.returncode}: see the logs folder")
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not get ready in {READY:.0f} seconds: see the logs folder")
        time.sleep(0.3)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["start", "run", "stop"])
    parser.add_argument("--folder", type=Path, default=Path("federation"))
    parser.add_argument("--experiment", type=Path, default=HERE / "experiment.toml", help="for start")
    parser.add_argument("--courier", metavar="USER", help="for start: the account of the SuperNodes (needs root)")
    parser.add_argument("--app", type=Path, default=HERE / "app", help="for run: the app to submit")
    parser.add_argument("--out", type=Path, help="for run: the run folder")
    given = parser.parse_args()
    if given.command == "start":
        start(given.folder, given.experiment, given.courier)
    elif given.command == "run":
        sys.exit(run(given.folder, given.app, given.out))
    else:
        stop(given.folder)


if __name__ == "__main__":
    main()
