"""`hpsearch.train`: the final training and the only evaluation on the test set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import check_arguments
from hpsearch.api.interrupt import Interrupt
from hpsearch.api.options import Space, experiment_of, home_of, opening_turn, redacted
from hpsearch.atomic import write_json
from hpsearch.config import Config
from hpsearch.contract import WorkerSettings
from hpsearch.displays.show import displayed
from hpsearch.displays.training import TrainingTerminal
from hpsearch.environment import refuse_old, stand_in_for_user
from hpsearch.events import Notice, Prepared, Preparing, Show, Testing, Trained
from hpsearch.evidence.looks import Look, earlier, line, look_of, record
from hpsearch.evidence.optimism import OptimismGap, gap
from hpsearch.final import FinalTraining
from hpsearch.home import Home
from hpsearch.models.card import Facts, write_card
from hpsearch.preparation import prepare, settings_for
from hpsearch.provenance import cannot_tell, data_changes, edits, refuse_changed
from hpsearch.reproduction import reproduction
from hpsearch.space.experiment import Experiment
from hpsearch.trainers import Prepared as PreparedData
from hpsearch.views.mlflow.final_run import FinalRun
from hpsearch.views.mlflow.schema import check_home

PATIENCE_WHEN_FAILED = 4.0  # seconds to wait for MLflow


@dataclass(frozen=True)
class FinalResult:
    """The result of a final training."""

    metrics: dict[str, float]  # test/... if there is a test split, val/... of the best evaluation
    folder: Path  # the exported model; transformers reads that of causal_lm
    reproduction: str | None = None  # the validation value compared with the trial's, in one line
    signatures: Mapping[str, str] = field(default_factory=dict)  # how BLEU and chrF of the test were computed
    untested: tuple[str, ...] = ()  # why test splits could not be used
    stopped: bool = False  # on request; the same call resumes the training
    gap: OptimismGap | None = None  # the search's best value, the mean over fresh seeds, and the test value
    looks: int = 0  # other final trainings that have looked at this test split before


def train(
    config: Space,
    *,
    output: str | Path = "model",
    home: str | Path = "mlruns",
    base: str | Path | None = None,
    threads: int | None = None,
    device: str | None = None,
    data_changed: bool = False,
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> FinalResult:
    """Trains a config without ranges, tests it once and writes the model to `output`, as `hpsearch train` does.

    config: best.yaml or another file, a mapping or an Experiment; relative data paths of a mapping start at `base`
    (default: the working folder). threads: CPU threads (default: the trial's number, which repeats it to the last
    bit). data_changed: accepts data that differ from those of the search.

    progress, stopping and Ctrl-C: as for hpsearch.run. The same call resumes a stopped training.

    Returns the metrics and the folder. Raises UserError (ConfigError, DataError, StudyMismatch) for a wrong argument,
    TrainingFailed if no evaluation was finite.
    """
    refuse_old("torch", "mlflow")
    stand_in_for_user()
    with redacted():
        check_arguments(config=config, output=output, home=home, base=base, data_changed=data_changed)
        check_arguments(progress=progress, stopping=stopping)
        with opening_turn:
            experiment = experiment_of(config, base=base, device=device, threads=threads)
            experiment.train_config()  # raises if it has ranges, before anything is written
            at = home_of(home)
            check_home(at.path, experiment.tracking.uri)
        interrupt = Interrupt(is_watching=stopping is None)
        with displayed(progress, in_terminal=TrainingTerminal) as show:
            job = _Job(experiment, at, Path(output), threads, data_changed, show)
            result = job.run(interrupt, stopping or interrupt.stopping)
    if interrupt.caught and result.stopped:
        raise KeyboardInterrupt(f"the training in {output} is saved; the same call resumes it")
    return result


def prepared_data(
    experiment: Experiment, home: Home, show: Show, known: Callable[[Mapping[str, Any]], None]
) -> PreparedData:
    """Prepares the data of a final training, and shows what was read; `known` gets their fingerprints."""
    show(Preparing("reading the data", 0.0))
    prepared = prepare(experiment, home, lambda what, share: show(Preparing(what, share)), known=known)
    show(Prepared(prepared.summary))
    for warning in prepared.warnings:
        show(Notice(f"warning: {warning}"))
    return prepared


@dataclass
class _Job:
    """One final training, from the config to the tested model."""

    experiment: Experiment
    home: Home
    output: Path
    threads: int | None
    data_changed: bool
    show: Show
    changed: bool = False  # the data differ from those of the search
    looks: int = 0  # at the test data, before this one

    def run(self, interrupt: Interrupt, stopping: Callable[[], bool]) -> FinalResult:
        """Prepares the data, trains and tests."""
        with opening_turn:
            wanted, prepared = self.experiment.train_config(), self._prepare()
            settings = settings_for(self.experiment, self.home, prepared, self.threads)
        final = FinalTraining(wanted, self.output, settings, trainer=self.experiment.trainer, data=prepared.facts)
        with contextlib.closing(final), self._logged(wanted) as run:
            with interrupt:
                self._train(final, run, stopping)
            if final.stopped:
                run.finish({}, status="KILLED")
                return FinalResult({}, self.output, stopped=True)
            self.show(Testing())
            look = self._look(wanted, prepared.facts)
            metrics = final.test(lambda tested: self._note_look(look, tested))
            said = self._reproduction(wanted, metrics, settings, final.measured)
            found = self._gap(wanted, metrics)
            if found is not None:
                write_json(self.output / "optimism.json", found.to_dict())
            self._write_card(metrics, prepared, final.signatures, found)
            run.finish(metrics | (found.metrics() if found is not None else {}), self.output)
        untested, seen = tuple(prepared.untested), self.looks
        return FinalResult(metrics, self.output, said, final.signatures, untested, gap=found, looks=seen)

    def _write_card(
        self,
        metrics: Mapping[str, float],
        prepared: PreparedData,
        signatures: Mapping[str, str],
        found: OptimismGap | None,
    ) -> None:
        """Writes the model's README.md."""
        experiment = self.experiment
        facts = Facts(
            experiment.study, metrics, prepared.sets, prepared.contents, experiment.provenance, signatures, found
        )
        write_card(self.output, facts)

    def _train(self, final: FinalTraining, run: FinalRun, stopping: Callable[[], bool]) -> None:
        for evaluation in final.run(stopping):
            share = evaluation.progress / final.trainer.phases(final.config).ends_at
            self.show(Trained(evaluation, self.experiment.objective.metric, share))
            run.evaluation(evaluation)

    def _reproduction(
        self, wanted: Config, metrics: dict[str, float], settings: WorkerSettings, measured: list[float]
    ) -> str | None:
        """Compares the validation value with the trial's, in one line; None if the config names no trial."""
        known, value = self.experiment.provenance, metrics[self.experiment.objective.metric]
        return reproduction(known, wanted, value, settings, data_changed=self.changed, measured=measured)

    def _gap(self, wanted: Config, metrics: Mapping[str, float]) -> OptimismGap | None:
        """The optimism gap; None for another training than the trial's, and where there is nothing to compare."""
        known, objective = self.experiment.provenance, wanted.objective
        if self.changed or not known or edits(known, wanted):
            return None
        return gap(known, objective.metric, metrics, minimize=objective.direction == "minimize", looks=self.looks)

    def _look(self, wanted: Config, facts: Mapping[str, Any]) -> Look:
        experiment = self.experiment
        return look_of(experiment.study, experiment.provenance, config=wanted.digest(), folder=self.output, facts=facts)

    def _note_look(self, look: Look, tested: Mapping[str, float]) -> None:
        """Records that the test data were looked at, and says how often that was so before."""
        if not tested:
            return
        others = earlier(self.home.path, look)
        self.looks = len(others)
        if others:
            self.show(Notice(f"warning: {line(others)}"))
        try:
            record(self.home.path, look)
        except OSError as error:
            self.show(Notice(f"warning: {self.home.path}: cannot note the look at the test data: {error.strerror}"))

    def _prepare(self) -> PreparedData:
        return prepared_data(self.experiment, self.home, self.show, self._check_data)

    def _check_data(self, facts: Mapping[str, Any]) -> None:
        """Raises UserError if the data differ from those of the search, unless `data_changed`."""
        found = data_changes(self.experiment.provenance, facts)
        if not self.data_changed:
            refuse_changed(self.experiment, found)
        self.changed = bool(found)
        if reason := cannot_tell(self.experiment.provenance, facts):
            self.show(Notice(f"warning: {self.experiment.path}: {reason}"))

    @contextlib.contextmanager
    def _logged(self, wanted: Config) -> Iterator[FinalRun]:
        """Yields the training's MLflow run; it ends as FAILED or KILLED if the block raises."""
        uri, study = self.experiment.tracking.uri, self.experiment.study
        run = FinalRun(self.home.path, uri, study, say=lambda line: self.show(Notice(line)))
        run.start(wanted.model_dump(mode="json"), self.experiment.provenance)
        try:
            yield run
        except BaseException as error:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            run.finish({}, status=status, timeout=PATIENCE_WHEN_FAILED)
            raise
