"""Serves a run's song model until it is told to stop, and asks a running service to swap its model."""

import json
import os
import signal
import threading
import urllib.error
import urllib.request
from typing import Any

from jobs.cluster import ray_cluster
from jobs.serve import ServeOptions
from jobs.serve_app import served_songs
from jobs.served_champion import followed
from pipelines.loop.access import TOKEN_VARIABLE, Access, authorization
from pipelines.loop.http_serving import Address, start_http, stop_http

_SWAP_TIMEOUT_S = 600


def serve_run(options: ServeOptions) -> int:
    """Serve until SIGINT or SIGTERM; songs that are running then are lost."""
    address, access = Address(options.host, options.port), Access.by(os.environ.get(TOKEN_VARIABLE))
    access.check(options.host)
    names = None if options.follow is None else followed(options.follow, options.tracking_uri)
    served = served_songs(options.run, options.model, names, options.replicas, access)
    with ray_cluster():
        start_http(served.serving, served.http, served.model, address)
        try:
            what = f"{options.model} of {options.run}" if names is None else f"{served.model}, named by {names},"
            print(f"serving {what} at {address.url}", flush=True)
            print(_example(address, access), flush=True)
            _wait_for_a_signal()
        finally:
            stop_http()
    return 0


def swap_model(options: ServeOptions) -> int:
    """Ask the service to swap; prints what songs are made by from now on."""
    url = f"{Address(options.host, options.port).url}/model"
    body = json.dumps({"name": options.swap}).encode()
    headers = {"Content-Type": "application/json", **authorization(os.environ.get(TOKEN_VARIABLE))}
    request = urllib.request.Request(url, body, headers, method="PUT")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SWAP_TIMEOUT_S) as answer:  # noqa: S310
            done: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        problems = json.load(error)["errors"]
        raise ValueError("; ".join(problem["problem"] for problem in problems)) from None
    except urllib.error.URLError as error:
        raise OSError(f"no service answers at {url}: {error.reason}; start one with `levo serve`") from None
    print(f"{done['model']} {done['model_digest']}")
    return 0


def _example(address: Address, access: Access) -> str:
    order = json.dumps({"lyrics": "[verse] sun and moon.", "description": "female, slow", "audio": "wav"})
    token = "" if access.token_sha256 is None else f' -H "Authorization: Bearer ${TOKEN_VARIABLE}"'
    return f"curl -s {address.url}/songs{token} -H 'Content-Type: application/json' -d '{order}'"


def _wait_for_a_signal() -> None:
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    told.wait()
