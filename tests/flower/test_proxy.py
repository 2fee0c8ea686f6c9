"""The proxy configuration that keeps Flower's Control API off the network, in a real nginx before a real TLS server."""

import http.client
import http.server
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

NGINX = shutil.which("nginx")
if not (NGINX and shutil.which("openssl")):
    pytest.skip("nginx and openssl are needed", allow_module_level=True)

CONFIGURATION = Path(__file__).resolve().parents[2] / "examples" / "flower" / "nginx.conf"


class Behind(http.server.BaseHTTPRequestHandler):
    """What stands where the SuperLink would; tells which path reached it."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = self.path.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca", folder=folder)
    openssl("req", *key, "-keyout", "srv.key", "-out", "srv.csr", "-subj", "/CN=localhost", folder=folder)
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-out", "srv.crt")
    openssl("x509", "-req", "-in", "srv.csr", *signed, folder=folder)

    behind = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "srv.crt", folder / "srv.key")
    behind.socket = context.wrap_socket(behind.socket, server_side=True)
    threading.Thread(target=behind.serve_forever, daemon=True).start()

    port = free_port()
    text = CONFIGURATION.read_text().replace("127.0.0.1:9091", f"127.0.0.1:{behind.server_port}")
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(text.replace("http {", "http {" + temporary, 1))
    assert NGINX
    nginx = subprocess.Popen(
        [
            NGINX,
            "-p",
            str(folder),
            "-c",
            "nginx.conf",
            "-e",
            str(folder / "error.log"),
            "-g",
            f"daemon off; pid {folder}/pid;",
        ]
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert nginx.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        nginx.terminate()
        nginx.wait(10)
        behind.shutdown()
        behind.server_close()


def post(port: int, path: str) -> tuple[int, bytes]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        connection.request("POST", path, b"x" * 100)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_supernodes_reach_the_fleet_api(port: int) -> None:
    assert post(port, "/v1/fleet/pull-messages") == (200, b"/v1/fleet/pull-messages")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/control/start-run",
        "/v1/control/register-node",
        "/v1/runtime/pull-messages",
        "/",
        "/v1/fleetx/",
        "/V1/control/start-run",
        "//v1/control/start-run",
        "/v1/fleet/../control/start-run",
        "/v1/fleet/%2e%2e/control/start-run",
        "/v1/fleet/..%2fcontrol/start-run",
        "/v1/fleet/%2e%2e%2fcontrol/start-run",
        "/v1/control/start-run/../../fleet/pull-messages",
        "/v1/control/%2e%2e/fleet/pull-messages",
        "/v1/fleet/../fleet/pull-messages",
        "/v1//fleet/pull-messages",
        "/v1/%66leet/pull-messages",
        "/v1/fleet/pull-messages?x=/v1/control/start-run",
        "/v1/fleet/pull-messages/",
        "/v2/control/start-run",
    ],
)
def test_nobody_reaches_anything_else(port: int, path: str) -> None:
    status, body = post(port, path)
    assert status >= 400, body


def test_plain_connections_are_refused(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/v1/fleet/pull-messages", b"x")
        assert connection.getresponse().status == 400
    finally:
        connection.close()
