"""Answers every request with what it took it for, and says so on stdout. Lenient where Python is."""
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


STDOUT = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def answer(self):
        method, target = self.requestline.split()[:2]
        size = self.read_body()
        line = f"{method} {target} {size}"
        with STDOUT:
            print(line, flush=True)
        body = line.encode("latin-1")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if method != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self.read_chunks()
        return len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def read_chunks(self):
        total = 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            total += len(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b"\n", b""):
            pass
        return total

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
