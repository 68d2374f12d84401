"""What a line says of itself: every command finds its head, another configuration is named, nothing is begun twice."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.recipes.refresh import refresh_named
from pipelines.refresh.commits import BEGIN, Commit
from pipelines.refresh.held_line import held_line
from pipelines.refresh.line import begin_line, check_champion
from pipelines.refresh.line_facts import ForeignLineError, LineFacts, new_name, open_store, read_facts, write_facts
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.store import RefreshStore
from tests.pipelines.refresh.test_line_commands import FIRST, SECOND, at_work, store

__all__ = ["store"]
FACTS = LineFacts(
    "levo-tiny-line-1", "tiny", 0, "s3://levo/line", '{"refresh":{"seed":0,"prompts":{"num_gate":8}},"judges":"a"}'
)


def setting_of(store: RefreshStore, **changes: Any) -> NightSetting:
    """A setting that has a configuration and no run."""
    config = replace(refresh_named("tiny", 0), **changes)
    context: Any = SimpleNamespace(config=None)
    hands: Any = None
    return NightSetting(context, config, store, hands, "judges")


def test_head_and_lease_are_where_the_line_says(tmp_path: Path) -> None:
    assert open_store(tmp_path).pointers is None
    assert open_store(tmp_path, "s3://levo/new").pointers == "s3://levo/new", "a new line"
    write_facts(tmp_path, FACTS)
    assert read_facts(tmp_path) == FACTS
    for told in (None, "s3://levo/line"):
        assert open_store(tmp_path, told).pointers == "s3://levo/line"
    with pytest.raises(ForeignLineError, match=r"--pointers is s3://other/line; .* at s3://levo/line"):
        open_store(tmp_path, "s3://other/line")
    write_facts(tmp_path, replace(FACTS, pointers=None))
    with pytest.raises(ForeignLineError, match="in the folder itself"):
        open_store(tmp_path, "s3://levo/line")


def test_fields_that_differ_are_named_and_new_ones_are_none() -> None:
    assert FACTS.differences(FACTS.made_of) == []
    other = '{"refresh":{"seed":1,"prompts":{"num_gate":9},"new":3},"judges":"a"}'
    assert FACTS.differences(other) == [
        "refresh.seed is 1, the line's 0",
        "refresh.prompts.num_gate is 9, the line's 8",
    ]


def test_records_in_lists_may_have_new_fields_and_other_mappings_may_not(store: RefreshStore) -> None:
    facts = replace(FACTS, made_of='{"phases":[{"steps":1},{"steps":2}]}')
    assert facts.differences('{"phases":[{"steps":1,"new":0},{"steps":2,"new":0}]}') == []
    assert facts.differences('{"phases":[{"steps":1},{"steps":3}]}') == ["phases[1].steps is 3, the line's 2"]
    limits = setting_of(store).config.gate_limits
    ours = replace(FACTS, made_of=setting_of(store).made_of)
    (told,) = ours.differences(setting_of(store, gate_limits={**limits, "another": 0.1}).made_of)
    assert told.startswith("refresh.gate_limits is [["), "a limit more is another gate"


def test_every_line_has_a_name_of_its_own() -> None:
    assert new_name("base").startswith("levo-base-line-")
    assert new_name("base") != new_name("base")


def test_a_champion_is_named_for_a_new_line_alone(store: RefreshStore, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = replace(setting_of(store), first_model=store.model(SECOND))
    monkeypatch.setattr("pipelines.refresh.line.model_digest", lambda _: SECOND.digest)
    with held_line(store, 60) as held, pytest.raises(ForeignLineError, match=f"was begun with {FIRST.digest[:12]}"):
        begin_line(setting, held.commits, at_work)


def test_how_much_a_night_does_may_change_and_what_is_compared_may_not(store: RefreshStore) -> None:
    setting = setting_of(store)
    tuned = setting_of(store, prompts_per_night=2, weak_share=0.5)
    assert tuned.identity == setting.identity
    assert tuned.night != setting.night, "a night that was begun with other values begins anew"
    assert setting_of(store, songs_per_gate_prompt=7).identity != setting.identity


def test_another_configuration_is_refused_by_name_and_a_later_versions_field_is_not(tmp_path: Path) -> None:
    store = RefreshStore(tmp_path / "store")
    setting = setting_of(store)
    write_facts(store.folder, LineFacts("levo-tiny-line-1", "tiny", 0, None, setting.made_of))
    with held_line(store, 60) as held:
        held.commits.commit(Commit(BEGIN, None, FIRST, None, None, note=setting.identity))
        assert begin_line(setting, held.commits, at_work).champion == FIRST
        with pytest.raises(ForeignLineError, match=r"refresh\.songs_per_gate_prompt is 7, the line's 1"):
            begin_line(setting_of(store, songs_per_gate_prompt=7), held.commits, at_work)
        write_facts(
            store.folder,
            LineFacts("levo-tiny-line-1", "tiny", 0, None, setting.made_of.replace('"seed":0', '"older":0', 1)),
        )
        assert begin_line(setting_of(store, seed=1), held.commits, at_work).champion == FIRST


def test_a_line_whose_head_is_elsewhere_is_not_begun_over_its_nights(
    store: RefreshStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = setting_of(store)
    monkeypatch.setattr("pipelines.refresh.line.first_champion", lambda _: store.model(FIRST))
    monkeypatch.setattr("pipelines.refresh.line.model_digest", lambda _: FIRST.digest)
    (store.folder / "head").unlink()
    with (
        held_line(store, 60) as held,
        pytest.raises(ForeignLineError, match=r"commits of 2 nights, .* other --pointers"),
    ):
        begin_line(setting, held.commits, at_work)
    assert read_facts(store.folder) is None


def test_another_model_in_the_champions_place_is_named(store: RefreshStore) -> None:
    head = store.commits.head()
    assert head is not None
    with pytest.raises(ForeignLineError, match=f"holds no model; the line's champion is {SECOND.digest[:12]}"):
        check_champion(setting_of(store), head)
    (store.model(SECOND) / "config.json").write_text("{}")
    with pytest.raises(ForeignLineError, match="put its files back, or `levo rollback`"):
        check_champion(setting_of(store), head)


def test_nights_that_were_committed_and_not_told_are_known(store: RefreshStore) -> None:
    assert store.untold_nights() == ("2026-01-01", "2026-01-02")
    store.mark_told("2026-01-01")
    assert store.untold_nights() == ("2026-01-02",)
