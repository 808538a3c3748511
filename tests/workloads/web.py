# SPDX-License-Identifier: Apache-2.0
"""A web server and its clients, by name and by number."""
# needs: requests
# without: restricted (it serves on sockets)

import http.server
import threading
import urllib.request

import requests


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *args):
        pass


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for host in ("127.0.0.1", "localhost"):
        url = f"http://{host}:{server.server_port}"
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(f"{url}/path", timeout=30).text == "/path"
            assert session.post(url, data=b"abc", timeout=30).content == b"cba"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    assert opener.open(f"{url}/urllib", timeout=30).read() == b"/urllib"
    server.shutdown()
    thread.join()
