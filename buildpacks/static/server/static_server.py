"""Serves an app's static files on $PORT.

static.json (optional): {"root": "public", "clean_urls": true, "error_page": "404.html"}
Names that begin with a dot are not served (but .well-known), nor is what configures the app.
"""
import http.server
import json
import os
import signal
import sys
import urllib.parse

HIDDEN = {"Procfile", "static.json"}


def read_config():
    try:
        with open("static.json", encoding="utf-8") as file:
            config = json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        sys.exit(f" !     static.json is not valid JSON: {error}")
    if not isinstance(config, dict):
        sys.exit(" !     static.json must be an object")
    return config


def root_of(config):
    here = os.path.realpath(".")
    root = os.path.realpath(config.get("root", "."))
    if os.path.commonpath([here, root]) != here or not os.path.isdir(root):
        sys.exit(f" !     static.json: root '{config.get('root')}' is no folder of the app")
    return root


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "flynn-static"
    sys_version = ""
    config = {}

    def send_head(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        parts = [part for part in path.split("/") if part]
        if any(part.startswith(".") and part != ".well-known" for part in parts) or (len(parts) == 1 and parts[0] in HIDDEN):
            return self.missing()
        file = self.translate_path(self.path)
        if os.path.isdir(file) and not os.path.exists(os.path.join(file, "index.html")):
            return self.missing()
        if not os.path.exists(file):
            if not (self.config.get("clean_urls") and os.path.isfile(file + ".html")):
                return self.missing()
            self.path = urllib.parse.quote(path + ".html")
        return super().send_head()

    def missing(self):
        page = self.config.get("error_page")
        if page:
            file = os.path.realpath(os.path.join(self.directory, page))
            if file.startswith(self.directory + os.sep) and os.path.isfile(file):
                opened = open(file, "rb")
                self.send_response(404)
                self.send_header("Content-Type", self.guess_type(file))
                self.send_header("Content-Length", str(os.fstat(opened.fileno()).st_size))
                self.end_headers()
                return opened
        self.send_error(404)
        return None


def main():
    config = read_config()
    root = root_of(config)
    if "--check" in sys.argv:
        print(f"serving {os.path.relpath(root)}")
        return
    Handler.config = config
    port = int(os.environ.get("PORT", "8080"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    handler = lambda *args, **kwargs: Handler(*args, directory=root, **kwargs)
    with http.server.ThreadingHTTPServer(("0.0.0.0", port), handler) as server:
        print(f"listening on port {server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
