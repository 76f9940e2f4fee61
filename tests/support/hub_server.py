"""A Hub of one's own on 127.0.0.1: the parts of its HTTP API by which parts are pushed and fetched, in memory."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

#: Tokens, and what they may do; without one, public repositories are read.
READS, WRITES = "hf_reads", "hf_writes"
#: Of these licences the Hub knows.
LICENCES = ("apache-2.0", "mit", "cc-by-nc-4.0", "other")


@dataclass
class Repository:
    """Commits, the oldest first, and the branches and tags that name some."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files, branch="main"):
        """Put files, None where one goes, on a branch; the commit."""
        now = {**self.commits.get(self.refs.get(branch, ""), {}), **files}
        now = {name: data for name, data in now.items() if data is not None}
        found = hashlib.sha1(f"{len(self.commits)}{sorted(now.items())}".encode()).hexdigest()
        self.commits[found] = now
        self.refs[branch] = found
        return found


@dataclass
class Hub:
    """Repositories by name, what is asked of them, and how the server fails: `broken` is a file that is cut off."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    broken: str = "nothing"
    gated: str = "nobody/nothing"
    moves: bool = False

    def make(self, name, files, *, private=False):
        """A repository with some files; its commit."""
        repository = self.repositories.setdefault(name, Repository(private))
        repository.commit({".gitattributes": b"*.safetensors filter=lfs"})
        return repository.commit(files)

    def files(self, name, branch="main"):
        """What a repository holds at a branch."""
        repository = self.repositories[name]
        return repository.commits[repository.refs[branch]]


@contextmanager
def serving():
    """A Hub that answers until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def only_hub(hub, folder, monkeypatch):
    """Let huggingface_hub know this Hub alone, with an empty cache below a folder, no token and no Xet; the cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hf/hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "hf/token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return folder / "hf/hub"


class _Refused(Exception):
    """A status, the code that tells the client why, and words."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._do()

    def do_GET(self):
        self._do()

    def do_POST(self):
        self._do()

    def do_PUT(self):
        self._do()

    def _do(self):
        path = urlsplit(self.path).path
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = self._chunks()
        self.hub.asked.append((self.command, path))
        for method, pattern, answer in ROUTES:
            if (found := re.fullmatch(pattern, path)) and self.command in method:
                try:
                    answer(self, *[each and unquote(each) for each in found.groups()])
                except _Refused as refused:
                    status, code, words = refused.args
                    self._send(status, {"error": words}, {"X-Error-Code": code, "X-Error-Message": words})
                return
        self._send(404, {"error": "no such page"})

    def _chunks(self):
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _send(self, status, value, headers=None):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else data)

    def _token(self):
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _repository(self, name):
        found = self.hub.repositories.get(name)
        if name == self.hub.gated:
            raise _Refused(403, "GatedRepo", "Access to this model is restricted")
        if found is None or (found.private and self._token() not in (READS, WRITES)):
            raise _Refused(404 if self._token() else 401, "RepoNotFound", "Repository not found")
        return found

    def _at(self, name, revision):
        repository = self._repository(name)
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit, repository.commits[commit]

    def _may_write(self, name=None):
        if name is not None:
            self._repository(name)
        if self._token() != WRITES:
            raise _Refused(403 if self._token() else 401, "", "You don't have the rights to do that")

    def info(self, name, revision=None):
        commit, files = self._at(name, revision or "main")
        siblings = [{"rfilename": each, "size": len(data)} for each, data in sorted(files.items())]
        private = self.hub.repositories[name].private
        self._send(200, {"id": name, "modelId": name, "sha": commit, "private": private, "siblings": siblings})

    def resolve(self, name, revision, file):
        commit, files = self._at(name, revision)
        if file not in files:
            raise _Refused(404, "EntryNotFound", "Entry not found")
        data = files[file]
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if self.command == "GET" and file == self.hub.broken:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        self._send(200, data, headers)

    def create(self):
        self._may_write()
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            raise _Refused(409, "", "You already created this model repo")
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.repositories[name] = Repository(private)
        self.hub.repositories[name].commit({".gitattributes": b"*.safetensors filter=lfs"})
        self._send(200, {"url": f"{self.hub.address}/{name}", "name": name})

    def branch(self, name, branch):
        self._may_write(name)
        repository = self._repository(name)
        if branch in repository.refs:
            raise _Refused(409, "", "Reference already exists")
        repository.refs[branch] = repository.refs["main"]
        self._send(200, {})

    def validate(self):
        content = json.loads(self.body)["content"]
        licence = re.search(r"^license: (.*)$", content, re.M)
        if licence and licence[1].strip("\"'") not in LICENCES:
            self._send(
                400, {"errors": [{"message": f'"license" must be one of [{", ".join(LICENCES)}]'}], "warnings": []}
            )
        else:
            self._send(200, {"errors": [], "warnings": []})

    def preupload(self, name, _revision):
        self._may_write(name)
        asked = json.loads(self.body)["files"]
        modes = {each["path"]: "lfs" if each["path"].endswith(".safetensors") else "regular" for each in asked}
        files = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()]
        self._send(200, {"files": files})

    def batch(self, name):
        self._may_write(name)
        objects = []
        for each in json.loads(self.body)["objects"]:
            actions = {"upload": {"href": f"{self.hub.address}/lfs/{each['oid']}", "header": {}}}
            objects.append(each | ({} if each["oid"] in self.hub.stored else {"actions": actions}))
        self._send(200, {"transfer": "basic", "objects": objects})

    def store(self, oid):
        if self.hub.broken == "upload":
            raise _Refused(400, "", "the disk of the Hub is full")
        self.hub.stored[oid] = self.body
        self._send(200, {})

    def commit(self, name, branch):
        self._may_write(name)
        repository = self._repository(name)
        header, *lines = [json.loads(line) for line in self.body.splitlines()]
        if self.hub.moves:
            self.hub.moves = False
            repository.commit({"other.txt": b"of somebody else"}, branch)
        parent = header["value"].get("parentCommit")
        if parent not in (None, repository.refs[branch]):
            raise _Refused(412, "", "A commit has happened since. Please refresh and try again.")
        files = {}
        for line in lines:
            value = line["value"]
            files[value["path"]] = {
                "file": lambda value: base64.b64decode(value["content"]),
                "lfsFile": lambda value: self.hub.stored[value["oid"]],
                "deletedFile": lambda _: None,
            }[line["key"]](value)
        found = repository.commit(files, branch)
        self._send(200, {"commitUrl": f"{self.hub.address}/{name}/commit/{found}", "commitOid": found})


NAME = r"([^/]+/[^/]+?)"
ROUTES = (
    ("GET", rf"/api/models/{NAME}", _Handler.info),
    ("GET", rf"/api/models/{NAME}/revision/(.+)", _Handler.info),
    ("HEAD GET", rf"/{NAME}/resolve/([^/]+)/(.+)", _Handler.resolve),
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", rf"/api/models/{NAME}/branch/(.+)", _Handler.branch),
    ("POST", "/api/validate-yaml", _Handler.validate),
    ("POST", rf"/api/models/{NAME}/preupload/(.+)", _Handler.preupload),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", "/lfs/(.+)", _Handler.store),
    ("POST", rf"/api/models/{NAME}/commit/(.+)", _Handler.commit),
)
