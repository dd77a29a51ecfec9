"""A small OpenID Connect provider: discovery, authorize, token, keys and userinfo.

It answers over real HTTP on a free port. Whoever comes to its page is the person that the test
put in; codes work once and only with the verifier whose challenge came with the login.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "dgx-lab", "a-client-secret"


@dataclass
class State:
    """What the provider knows, and what it was asked."""

    issuer: str = ""
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "s-1"})
    broken: str = ""  # the path that answers nonsense
    refuses: bool = False  # the person presses "no"
    audience: str = CLIENT_ID
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )


class Handler(BaseHTTPRequestHandler):
    state: State

    def log_message(self, *args: object) -> None:
        """Nothing into the output of the tests."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == self.state.broken:
            self._answer(200, b"<html>not what you asked for</html>", "text/html")
        elif parts.path == "/.well-known/openid-configuration":
            self._json(self._discovery())
        elif parts.path == "/authorize":
            self._authorize(query)
        elif parts.path == "/go":
            self._redirect(query)
        elif parts.path == "/keys":
            key = jwt.algorithms.RSAAlgorithm.to_jwk(self.state.key.public_key(), as_dict=True)
            self._json({"keys": [key | {"kid": "k1", "use": "sig", "alg": "RS256"}]})
        elif parts.path == "/userinfo":
            known = self.headers.get("Authorization") == "Bearer an-access-token"
            self._json(self.state.person if known else {}, 200 if known else 401)
        else:
            self._json({}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.state.codes.pop(form.get("code", ""), None)
        if self.path == self.state.broken or asked is None or not self._is_proven(form, asked):
            self._json({"error": "invalid_grant"}, 400)
            return
        now = int(time.time())
        claims = {"iss": self.state.issuer, "aud": self.state.audience, "iat": now, "exp": now + 60}
        token = jwt.encode(
            self.state.person | claims, self.state.key, "RS256", headers={"kid": "k1"}
        )
        self._json({"access_token": "an-access-token", "token_type": "Bearer", "id_token": token})

    def _is_proven(self, form: dict[str, str], asked: dict[str, str]) -> bool:
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return (
            challenge == asked["code_challenge"]
            and form["redirect_uri"] == asked["redirect_uri"]
            and (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        )

    def _discovery(self) -> dict[str, Any]:
        issuer = self.state.issuer
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def _authorize(self, query: dict[str, str]) -> None:
        """The page on which a person logs in to the provider."""
        page = (
            "<!DOCTYPE html><html lang=en><link rel=icon href=data:,><title>Provider</title>"
            f"<a href='/go?{quote(urlencode(query), safe='=&%')}'>Continue</a></html>"
        )
        self._answer(200, page.encode(), "text/html")

    def _redirect(self, query: dict[str, str]) -> None:
        self.state.asked.append(query)
        code = secrets.token_urlsafe(8)
        self.state.codes[code] = query
        back = {"error": "access_denied"} if self.state.refuses else {"code": code}
        target = f"{query['redirect_uri']}?{urlencode(back | {'state': query['state']})}"
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, value: object, status: int = 200) -> None:
        self._answer(status, json.dumps(value).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running() -> Iterator[State]:
    state = State()
    handler = type("OneProvider", (Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        # Another host than the site's, so that the browser treats it as another site.
        state.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield state
        server.shutdown()
        thread.join()
