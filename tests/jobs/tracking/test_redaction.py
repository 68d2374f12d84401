"""Redaction: whatever a secret is and however it is written, it does not reach the spool; what is none stays."""

import json
import logging
import os
import shlex
import string
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.lineage.parameters import flat_parameters
from jobs.tracking.delivery import EventRefusedError, Sink, SinkUnavailableError, SpoolDelivery
from jobs.tracking.events import TrackingEvent
from jobs.tracking.jsonl_tracker import JsonLinesTracker
from jobs.tracking.protocol import DatasetReference, ModelReference, Parameter
from jobs.tracking.redaction import HIDDEN, is_secret_name, redacted, redacted_values, refuse_credentials

_SECRETS = st.text(string.ascii_letters + string.digits + "!#$%&()+,-./:;<=>@[]^_`{|}~", min_size=8, max_size=40)
_NAMES = st.sampled_from(
    ["password", "MLFLOW_TRACKING_PASSWORD", "db.password", "apiKey", "hf-token", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"]
)
_WAYS: dict[str, Callable[[str, str], str]] = {
    "an address": lambda name, secret: f"postgresql+psycopg2://levo:{quote(secret, safe='')}@db:5432/m is away",
    "a token as user": lambda name, secret: f"https://{quote(secret, safe='')}@example.org/repository.git",
    "a variable": lambda name, secret: f"{name}={secret} levo train",
    "an option": lambda name, secret: f"levo train {shlex.join([f'--{name}={secret}', '--seed', '1'])}",
    "an option of two words": lambda name, secret: f"levo train {shlex.join([f'--{name}', 'x' + secret])}",
    "JSON": lambda name, secret: json.dumps({"user": "levo", name: secret, "seed": 1}),
    "JSON in JSON": lambda name, secret: json.dumps(json.dumps({name: secret})),
    "a dictionary's text": lambda name, secret: f"refused { ({name: secret, 'seed': 1})!r}",
    "YAML": lambda name, secret: f"user: levo\n{name}: {secret}\nseed: 1",
    "a header": lambda name, secret: f"Authorization: Bearer {secret}\r\nHost: db",
    "a query": lambda name, secret: f"GET /songs?page=1&access_token={quote(secret, safe='')} failed",
}


@pytest.mark.parametrize("way", _WAYS)
@given(name=_NAMES, secret=_SECRETS)
def test_a_secret_is_hidden_however_it_is_written(way: str, name: str, secret: str) -> None:
    text = _WAYS[way](name, secret)
    plain = redacted(text)
    for written in {secret, quote(secret, safe="")}:
        assert written not in plain
    assert HIDDEN in plain
    assert redacted(plain) == plain


@given(name=_NAMES, secret=_SECRETS, way=st.sampled_from(sorted(_WAYS)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_secret_reaches_the_spool(tmp_path: Path, name: str, secret: str, way: str) -> None:
    text, spool = _WAYS[way](name, secret), tmp_path / "tracking.jsonl"
    spool.unlink(missing_ok=True)
    run = JsonLinesTracker(spool).run("key", text)
    parameters: dict[str, Parameter] = {"entrypoint": text, name: secret, "seed": 0}
    run.log_parameters(parameters)
    run.log_tags({"error": text, name: secret})
    run.log_dataset(DatasetReference("pairs", "ab" * 32, f"s3://key:{quote(secret, safe='')}@bucket/x", 1), "input")
    run.log_model(ModelReference("lelm", text, "ab" * 32))
    run.log_table("candidates", {"error": [text, None]})
    lines = spool.read_text()
    for written in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}:
        assert written not in lines
    assert '"seed": "0"' in lines


def test_a_value_that_the_environment_calls_a_secret_is_hidden_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "plain words of a token")
    assert redacted("it said plain words of a token, loudly") == f"it said {HIDDEN}, loudly"
    monkeypatch.setenv("SOME_TOKEN", "short")
    assert redacted("in short") == "in short"


def test_tokens_of_known_makes_and_private_keys_are_hidden_without_a_name() -> None:
    made = ["ghp_" + "a1" * 12, "hf_" + "Ab" * 15, "AKIA" + "Q7" * 8, "glpat-" + "x-9" * 8]
    assert redacted(" ".join(made)) == " ".join([HIDDEN] * 4)
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----"
    assert redacted(f"read {key} here") == f"read {HIDDEN} here"


@pytest.mark.parametrize(
    "plain",
    [
        "sqlite:////store/mlflow.db",
        "http://127.0.0.1:5000/#/experiments/1/runs/ab@cd",
        "file:///store/models/" + "ab" * 32,
        "max_lyrics_tokens=16, tokens_per_s: 3.5, fencing_token=12, pad_token=0",
        "step align: ValueError: batch_rows is 3; expected 4",
        "the token was not accepted; the password file is gone",
        "--tokenizer words --seed 1",
    ],
)
def test_what_is_no_secret_stays_as_it_is(plain: str) -> None:
    assert redacted(plain) == plain


def test_a_parameter_that_is_cut_short_holds_no_half_of_a_password() -> None:
    address = f"postgresql://levo:{'secret' * 60}@db/mlflow"
    assert flat_parameters({"store": address}) == {"store": f"postgresql://{HIDDEN}@db/mlflow"}


def test_numbers_keep_their_type_and_place() -> None:
    content = {"values": {"loss": 1.5}, "at": 3, "moves": [["champion", None]], "token": "abcdefgh"}
    assert redacted_values(content) == {**content, "token": HIDDEN}


def test_names_of_secrets_are_told_from_names_of_counts() -> None:
    secret = ("a.password", "apiKey", "RAY_AUTH_TOKEN", "token")
    plain = ("max_tokens", "run_key", "tokenizer", "fencing_token", "seed")
    assert [name for name in (*secret, *plain) if is_secret_name(name)] == list(secret)


def test_an_address_with_a_password_is_refused_where_others_would_read_it() -> None:
    refuse_credentials("http://mlflow:5000", "--tracking-uri", "MLFLOW_TRACKING_PASSWORD")
    with pytest.raises(ValueError, match=r"http://\*\*\*@mlflow:5000.*MLFLOW_TRACKING_PASSWORD") as refused:
        refuse_credentials("http://levo:a-secret@mlflow:5000", "--tracking-uri", "MLFLOW_TRACKING_PASSWORD")
    assert "a-secret" not in str(refused.value)


class _TalkativeSink:
    """Refuses the first event and is away for the second, saying its own address."""

    def __init__(self, errors: list[Exception]) -> None:
        self._errors = errors

    def apply(self, event: TrackingEvent) -> None:
        if self._errors:
            raise self._errors.pop(0)


def test_errors_of_a_server_are_written_without_its_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    address = "postgresql://levo:hidden-word@db/mlflow"
    run = JsonLinesTracker(tmp_path / "spool").run("key", "night")
    run.log_metrics({"loss": 1.0})
    sink: Sink = _TalkativeSink([EventRefusedError(f"{address} refuses"), SinkUnavailableError(f"{address} is away")])
    with caplog.at_level(logging.WARNING):
        assert SpoolDelivery(tmp_path / "spool", lambda: sink, retry_after_s=0.01).close(5) == 1
    told = caplog.text + (tmp_path / "spool.refused").read_text()
    assert f"postgresql://{HIDDEN}@db/mlflow refuses" in told
    assert "is away" in told
    assert "hidden-word" not in told
    assert "hidden-word" not in os.environ.values()
