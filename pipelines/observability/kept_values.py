"""The last values in a Prometheus text file: what a night told survives its cluster, and counters go on from it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, push_to_gateway
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from levo.song.files import write_bytes_atomically
from pipelines.observability.catalogue import CATALOGUE, PREFIX, ExportedMetric, Kind
from pipelines.observability.metrics import Metrics, live_metrics

FILE_NAME = "levo.prom"
"""As the textfile collector of node_exporter wants it: it reads `*.prom`."""
STORE = "store"
PUSH_JOB = "levo"
_LOGGER = logging.getLogger(__name__)
_PUSH_TIMEOUT_S = 5.0

Labels = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class KeptValues:
    """A sink for the metrics whose last value matters, labelled with the store that they are about."""

    store: str
    values: dict[str, dict[Labels, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path, store: str) -> "KeptValues":
        """What a file holds, or nothing where there is none; one that cannot be read is begun anew, and said so."""
        kept = cls(store)
        try:
            for family in text_string_to_metric_families(file.read_text()):
                metric = _by_exported_name().get(family.name)
                if metric is not None:
                    kept._of(metric).update({_labels(metric, one.labels): one.value for one in family.samples})
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, OSError) as error:
            _LOGGER.warning("%s cannot be read as a text of Prometheus (%s); its counters begin anew", file, error)
            return cls(store)
        return kept

    def record(self, metric: ExportedMetric, value: float, tags: Mapping[str, str]) -> None:
        """Keep a gauge's value, or add to a counter."""
        if metric.is_kept:
            values, labels = self._of(metric), _labels(metric, tags)
            values[labels] = value + (values.get(labels, 0.0) if metric.kind is Kind.COUNTER else 0.0)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """The values as prometheus_client wants them."""
        for metric in CATALOGUE:
            made = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
            family = made(f"{PREFIX}{metric.name}", metric.description, labels=(*metric.tags, STORE))
            for labels, value in sorted(self.values.get(metric.name, {}).items()):
                family.add_metric((*labels, self.store), value)
            if family.samples:
                yield family

    def write(self, file: Path) -> None:
        """Put the values at `file`, whole or not at all."""
        write_bytes_atomically(file, generate_latest(self._registry()))

    def push(self, address: str) -> None:
        """Replace what a Pushgateway has of this store."""
        push_to_gateway(address, PUSH_JOB, self._registry(), {STORE: self.store}, timeout=_PUSH_TIMEOUT_S)

    def _of(self, metric: ExportedMetric) -> dict[Labels, float]:
        return self.values.setdefault(metric.name, {})

    def _registry(self) -> CollectorRegistry:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry


@contextmanager
def kept_metrics(
    file: Path, store: str, pushgateway: str | None = None, *, lost: type[Exception] | None = None
) -> Iterator[Metrics]:
    """Metrics that are exported and kept; the file is written, and pushed, when the context ends, however it ends.

    One process at a time: whoever holds the store's lease. After the error `lost` that is somebody else, and nothing is
    written. A disk or a gateway that refuses is a warning, no error.
    """
    kept = KeptValues.read(file, store)
    is_ours = True
    try:
        yield Metrics((*live_metrics().sinks, kept))
    except Exception as error:
        is_ours = lost is None or not isinstance(error, lost)
        raise
    finally:
        if is_ours:
            _keep(kept, file, store, pushgateway)


def _keep(kept: KeptValues, file: Path, store: str, pushgateway: str | None) -> None:
    with _warning(f"metrics of {store} are not kept in {file}"):
        kept.write(file)
    if pushgateway:
        with _warning(f"metrics of {store} are not pushed to {pushgateway}"):
            kept.push(pushgateway)


@contextmanager
def _warning(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _LOGGER.warning("%s: %s", what, error)


def _by_exported_name() -> dict[str, ExportedMetric]:
    return {f"{PREFIX}{metric.name}": metric for metric in CATALOGUE if metric.is_kept}


def _labels(metric: ExportedMetric, tags: Mapping[str, str]) -> Labels:
    return tuple(tags[tag] for tag in metric.tags)
