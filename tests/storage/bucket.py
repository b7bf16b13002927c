"""A storage emulator on loopback: as much of the JSON API of Cloud Storage as its Python client uses."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


class Bucket:
    """Objects by name, served at `address`; `requests` are the lines that were asked."""

    def __init__(self):
        self.objects, self.requests, self._uploads = {}, [], {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def told(self, name):
        """The resource of an object."""
        data = self.objects[name]
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        return {"kind": "storage#object", "name": name, "bucket": "b", "size": str(len(data)), "md5Hash": md5,
                "updated": "2026-01-01T00:00:00.000Z", "timeCreated": "2026-01-01T00:00:00.000Z", "generation": "1",
                "etag": "e", "contentType": "application/octet-stream", "storageClass": "STANDARD"}  # fmt: skip

    def listed(self, query):
        """Objects and folders under a prefix."""
        prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
        names = [name for name in sorted(self.objects) if name.startswith(prefix)]
        deeper = {name: name[len(prefix) :].find(delimiter) if delimiter else -1 for name in names}
        folders = {name[: len(prefix) + at + 1] for name, at in deeper.items() if at >= 0}
        return {"items": [self.told(name) for name, at in deeper.items() if at < 0], "prefixes": sorted(folders)}


def _handler(bucket):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, body=b"", **headers):
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self):
            bucket.requests.append(self.path)
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            name = unquote(url.path.partition("/b/b/o/")[2])
            if url.path.endswith("/b/b"):
                self.answer(200, {"kind": "storage#bucket", "name": "b"})
            elif not name:
                self.answer(200, bucket.listed(query))
            elif name not in bucket.objects:
                self.answer(404, {"error": {"code": 404, "message": "No such object"}})
            elif query.get("alt") == ["media"] or url.path.startswith("/download"):
                data, span = bucket.objects[name], re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
                if span and int(span[1]) >= len(data):
                    self.answer(416, {"error": {"code": 416, "message": "range"}})
                elif span:
                    part = data[int(span[1]) : int(span[2]) + 1 if span[2] else None]
                    self.answer(206, part, Content_Range=f"bytes {span[1]}-{int(span[1]) + len(part) - 1}/{len(data)}")
                else:
                    self.answer(200, data)
            else:
                self.answer(200, bucket.told(name))

        def do_POST(self):
            bucket.requests.append(self.path)
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = parse_qs(urlsplit(self.path).query)
            if query.get("uploadType") == ["multipart"]:
                mark = re.search(r"boundary=\"?([^\";]+)", self.headers["Content-Type"])[1].encode()
                told, body = data.split(b"--" + mark)[1:3]
                name = json.loads(told.split(b"\n\n" if b"\r\n\r\n" not in told else b"\r\n\r\n", 1)[1])["name"]
                blank = b"\r\n\r\n" if b"\r\n\r\n" in body else b"\n\n"
                content = body.split(blank, 1)[1]
                bucket.objects[name] = content[: -len(blank) // 2]
                self.answer(200, bucket.told(name))
            else:
                name = query.get("name", [None])[0] or json.loads(data)["name"]
                bucket.objects[name] = b""
                self.answer(200, {}, Location=f"{bucket.address}/upload/{name}?upload_id={name}")

        def do_DELETE(self):
            bucket.requests.append(self.path)
            gone = bucket.objects.pop(unquote(urlsplit(self.path).path.partition("/b/b/o/")[2]), None)
            self.answer(404 if gone is None else 204)

        def do_PUT(self):
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            name = unquote(parse_qs(urlsplit(self.path).query)["upload_id"][0])
            bucket.objects[name] += data
            total = (self.headers.get("Content-Range") or "").rpartition("/")[2]
            if total.isdigit() and len(bucket.objects[name]) < int(total) or total == "*":
                self.answer(308, b"", Range=f"bytes=0-{len(bucket.objects[name]) - 1}")
            else:
                self.answer(200, bucket.told(name))

    return Handler
