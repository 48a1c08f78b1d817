"""A stand-in for a hub and a file server on a free port of 127.0.0.1, with whatever goes wrong there."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

COMMIT = "0123456789abcdef" * 2 + "01234567"
GATED = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model is restricted. Please log in."}
UNKNOWN = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}


class Hub:
    """Serves the files of ``root``: of repositories below ``/ORG/NAME/resolve/``, and all of them below ``/files/``.

    ``faults`` maps a part of an address to what goes wrong there: a number (that status), ``gated`` (401), ``denied`` (403),
    ``unknown`` (401), ``cut`` (the line breaks in the middle), ``wrong`` (other bytes than announced), or
    ``once:FAULT``, which passes. ``log`` has method, address and what was answered.
    """

    def __init__(self, root):
        self.root, self.faults, self.log = root, {}, []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.hub = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def fault(self, path):
        for part, fault in self.faults.items():
            if part in path:
                if fault.startswith("once:"):
                    del self.faults[part]
                return fault.removeprefix("once:")
        return ""

    def sent(self, part):
        """How often a file was sent, whole or not."""
        return sum(method == "GET" and part in path and code in (200, 206) for method, path, code in self.log)


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub does, as far as its client looks."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.server.hub, unquote(urlparse(self.path).path).strip("/")
        parts = path.split("/")
        fault = hub.fault(path)
        if fault in ("gated", "denied"):
            self.answer(401 if fault == "gated" else 403, headers=GATED)
        elif fault == "unknown":
            self.answer(401, headers=UNKNOWN)
        elif fault.isdigit():
            self.answer(int(fault))
        elif parts[0] == "files":
            self.file(hub.root / "/".join(parts[1:]), fault, {})
        elif parts[:2] == ["api", "models"]:
            self.listing("/".join(parts[2:4]), tree="tree" in parts)
        else:
            self.of_repository("/".join(parts[:2]), "/".join(parts[4:]), fault)

    def listing(self, repository, *, tree):
        files = sorted((self.server.hub.root / repository).iterdir())
        told = [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0" * 40} for p in files]
        info = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": p.name} for p in files]}
        self.answer(200, json.dumps(told if tree else info).encode(), {"Content-Type": "application/json"})

    def of_repository(self, repository, name, fault):
        folder = self.server.hub.root / repository
        if not folder.is_dir():
            self.answer(401, headers=UNKNOWN)
        elif not (folder / name).is_file():
            self.answer(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            self.file(folder / name, fault, {"X-Repo-Commit": COMMIT, "ETag": f'"{digest}"'})

    def file(self, path, fault, headers):
        if not path.is_file():
            self.answer(404)
            return
        content = path.read_bytes()
        start = int(self.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        code = 206 if start else 200
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if fault == "wrong":
            content = bytes(byte ^ 1 for byte in content)
        self.answer(code, content[start:], headers, cut=fault == "cut")

    def answer(self, code, body=b"", headers=None, *, cut=False):
        self.server.hub.log.append((self.command, self.path, code))
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut and self.command != "HEAD":
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
