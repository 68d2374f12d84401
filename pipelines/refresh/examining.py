"""The preflight of a night's training, wherever it is done."""

import shutil

from levo.alignment.preflight import PreflightReport
from levo.alignment.preflight_trial import preflight
from pipelines.refresh.hands import Examination


def examined(examination: Examination, device: str = "cpu") -> PreflightReport:
    """Look a training over in its folder, which is emptied first and removed afterwards."""
    phase, folder = examination.phase, examination.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        return preflight(phase, examination.gains, examination.reference, folder, examination.trial, device=device)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
