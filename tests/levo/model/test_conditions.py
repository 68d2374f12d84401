"""Conditions: what is dropped in training, and what guidance leads away from."""

import pytest
import torch

from levo.model.conditions import ConditionDropout, Conditions, drop_conditions, null_condition_tokens
from levo.model.config import LeLMConfig
from levo.model.tokenizer import ConditionEncoder

NUM_ROWS = 4000


def test_dropping_is_drawn_for_each_song_and_each_condition(
    parity_config: LeLMConfig, parity_encoder: ConditionEncoder
) -> None:
    tokens = parity_encoder.encode([Conditions("[verse] rain.", "dark.")] * NUM_ROWS)
    tokens = type(tokens)(tokens.lyrics_ids, tokens.description_ids, torch.zeros_like(tokens.prompt_codes))
    dropout = ConditionDropout(all_conditions=0.2, lyrics=0.0, audio_prompt=0.5, description=0.25)
    dropped = drop_conditions(tokens, dropout, parity_config, torch.Generator().manual_seed(0))
    null = null_condition_tokens(1, parity_config)
    no_lyrics = (dropped.lyrics_ids == null.lyrics_ids).all(dim=1)
    no_description = (dropped.description_ids == null.description_ids).all(dim=1)
    assert float(no_lyrics.float().mean()) == pytest.approx(0.2, abs=0.03)
    assert float(no_description.float().mean()) == pytest.approx(1 - 0.8 * 0.75, abs=0.03)
    assert bool((no_lyrics <= no_description).all())
    kept = ~no_lyrics
    assert torch.equal(dropped.lyrics_ids[kept], tokens.lyrics_ids[kept])


def test_audio_prompts_of_a_batch_go_together(parity_config: LeLMConfig, parity_encoder: ConditionEncoder) -> None:
    tokens = parity_encoder.encode([Conditions("[verse] rain.", "dark.")] * 6)
    tokens = type(tokens)(tokens.lyrics_ids, tokens.description_ids, torch.zeros_like(tokens.prompt_codes))
    generator = torch.Generator().manual_seed(0)
    dropout = ConditionDropout(all_conditions=0.0, audio_prompt=0.25)
    kept = []
    for _ in range(1000):
        dropped = drop_conditions(tokens, dropout, parity_config, generator)
        absent = (dropped.prompt_codes == parity_config.special_id).all(dim=(1, 2))
        assert bool(absent.all()) or not bool(absent.any())
        kept.append(not bool(absent.any()))
    assert sum(kept) / len(kept) == pytest.approx(0.75, abs=0.04)


def test_the_same_generator_drops_the_same(parity_config: LeLMConfig, parity_encoder: ConditionEncoder) -> None:
    tokens = parity_encoder.encode([Conditions("[verse] rain.", "dark.")] * 50)
    first, second = (
        drop_conditions(tokens, ConditionDropout(), parity_config, torch.Generator().manual_seed(4)) for _ in range(2)
    )
    assert torch.equal(first.description_ids, second.description_ids)
    assert torch.equal(first.prompt_codes, second.prompt_codes)


def test_a_dropped_song_reads_as_one_without_conditions(
    parity_config: LeLMConfig, parity_encoder: ConditionEncoder
) -> None:
    empty, null = parity_encoder.encode([Conditions()]), null_condition_tokens(1, parity_config)
    assert torch.equal(empty.lyrics_ids, null.lyrics_ids)
    assert torch.equal(empty.description_ids, null.description_ids)
    assert torch.equal(empty.prompt_codes, null.prompt_codes)


def test_guidance_leads_away_from_very_low_musicality_where_very_high_is_asked_for() -> None:
    assert Conditions("x", "[Musicality-very-high], dark.").null().description == "[Musicality-very-low], ."
    assert Conditions("x", "[Musicality-high], dark.").null().description is None
    assert Conditions("x", "dark.").null().description is None


def test_a_probability_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"audio_prompt is 1\.5"):
        ConditionDropout(audio_prompt=1.5)
