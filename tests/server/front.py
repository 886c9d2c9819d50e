"""A front in this process: the real server and protocol, with messages handed in and answers kept, no streams."""

import asyncio
import itertools
import json

from spa_lsp.server.app import make_server
from tests.fakes import PATIENCE_S

URI = "file:///a.py"
CAPABILITIES = {"textDocument": {"inlineCompletion": {}}}


class Front:
    """One server; it stands in for the writer that pygls writes to."""

    def __init__(self, engine_command=("false",)):
        self.server = make_server(engine_command)
        self.server.protocol.set_writer(self)
        self.notifications = []  # but for the status
        self.statuses = []
        self.requests = []  # of the server; all are answered with `replies`, or null
        self.replies = {}
        self.refusals = []  # errors that answer no known request
        self._answers = {}
        self._ids = itertools.count(1)

    def write(self, data):
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        if message.get("method") == "spa-lsp/status":
            self.statuses.append(message["params"])
        elif "method" in message and "id" in message:
            self.requests.append((message["method"], message["params"]))
            self.send({"id": message["id"], "result": self.replies.get(message["method"])})
        elif "method" in message:
            self.notifications.append((message["method"], message.get("params")))
        elif message["id"] in self._answers:
            self._answers[message["id"]].set_result(message)  # raises if it was answered already
        else:
            self.refusals.append(message)

    def send(self, message):
        self.server.protocol.receive(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def notify(self, method, params=None):
        self.send({"method": method, "params": params})

    def ask(self, method, params=None):
        """Send a request; a future of the whole answer comes back."""
        call_id = next(self._ids)
        self._answers[call_id] = asyncio.get_running_loop().create_future()
        self.send({"id": call_id, "method": method, "params": params})
        return asyncio.wait_for(asyncio.shield(self._answers[call_id]), PATIENCE_S)

    async def call(self, method, params=None):
        """The result of a request."""
        answer = await self.ask(method, params)
        assert "error" not in answer, answer
        return answer["result"]

    async def initialize(self, *, settings=None, capabilities=CAPABILITIES, root=None):
        options = {"base": "fake-base", **(settings or {})}
        uri = root.as_uri() if root else None
        params = {"processId": None, "rootUri": uri, "capabilities": capabilities, "initializationOptions": options}
        result = await self.call("initialize", params)
        self.notify("initialized", {})
        return result

    def open(self, text, *, uri=URI, language="python", version=1):
        document = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, *changes, uri=URI, version):
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def close_document(self, uri=URI):
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def ask_items(self, line, character, *, uri=URI, **context):
        position = {"line": line, "character": character}
        params = {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": 2, **context}}
        return self.ask("textDocument/inlineCompletion", params)

    async def items(self, line, character, **options):
        answer = await self.ask_items(line, character, **options)
        assert "error" not in answer, answer
        return answer["result"]["items"]

    async def texts(self, line, character, **options):
        return [item["insertText"] for item in await self.items(line, character, **options)]

    @property
    def messages(self):
        """What the user was shown."""
        return [params["message"] for method, params in self.notifications if method == "window/showMessage"]
