"""One final training, from the config to the tested model."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hpsearch.api.final_log import FinalLog, SeedLog
from hpsearch.api.interrupt import Interrupt
from hpsearch.api.options import opening_turn
from hpsearch.config import Config
from hpsearch.contract import WorkerSettings
from hpsearch.errors import UserError
from hpsearch.events import Notice, Prepared, Preparing, Show, Testing, Trained
from hpsearch.final.provenance import cannot_tell, data_changes, edits, outdated, refuse_changed
from hpsearch.final.reproduction import reproduction
from hpsearch.final.seed import SeedTraining
from hpsearch.final.training import FinalTraining
from hpsearch.home.home import Home, history_of
from hpsearch.journal import iterate
from hpsearch.journal.told import untold
from hpsearch.policies.finalists import fresh_seed
from hpsearch.preflight.preparation import prepare, settings_for
from hpsearch.results.evidence.caveats import model_at_chance
from hpsearch.results.evidence.looks import Look, earlier, line, look_of, record
from hpsearch.results.evidence.margins import examples_of
from hpsearch.results.evidence.optimism import OptimismGap, gap
from hpsearch.results.evidence.seeds import SeedResult, SeedSummary, summary
from hpsearch.serving.models.card import Facts, write_card
from hpsearch.space.experiment import Experiment
from hpsearch.system.atomic import write_json
from hpsearch.trainers import Prepared as PreparedData
from hpsearch.trainers import Trainer
from hpsearch.views.mlflow.final_model import has_files
from hpsearch.views.mlflow.final_run import FinalRun
from hpsearch.views.mlflow.registry import Registered, Registration

PATIENCE_WHEN_FAILED = 4.0  # after an error
WHOLE = "train+valid"


@dataclass(frozen=True)
class FinalResult:
    """The result of a final training."""

    metrics: dict[str, float]  # test/... if there is a test split, val/... of the best evaluation; of the model's seed
    folder: Path  # the exported model; transformers reads that of causal_lm
    reproduction: str | None = None  # the validation value compared with the trial's, in one line; or why it is not
    signatures: Mapping[str, str] = field(default_factory=dict)  # how BLEU and chrF of the test were computed
    untested: tuple[str, ...] = ()  # why test splits could not be used
    stopped: bool = False  # on request; the same call resumes the training
    gap: OptimismGap | None = None  # the search's best value, the mean over fresh seeds, and the test value
    looks: int = 0  # other final trainings that have looked at this test split before
    seed: int | None = None  # of the model
    seeds: SeedSummary | None = None  # of several seeds: their results, mean and deviation of the test metrics
    data: str = "train"  # what was trained on: train or train+valid
    registered: Registered | None = None  # the version in MLflow's registry; None also if MLflow refused it
    has_model: bool = True  # whether the training wrote files of a model


def prepared_data(
    experiment: Experiment, home: Home, show: Show, known: Callable[[Mapping[str, Any]], None]
) -> PreparedData:
    """Prepares the data of a final training, and shows what was read; `known` gets their fingerprints.

    Warnings that a search of the study has told are not repeated.
    """
    show(Preparing("reading the data", 0.0))
    prepared = prepare(experiment, home, lambda what, share: show(Preparing(what, share)), known=known)
    show(Prepared(prepared.summary))
    for warning in untold(prepared.warnings, _told(home.journal(experiment.study))):
        show(Notice(f"warning: {warning}"))
    return prepared


def _told(path: Path) -> Iterator[str]:
    """The warnings that a study's journal has; none if it is not here."""
    if path.exists():
        for event in iterate(path, points=False):
            if event["event"] == "driver_started":
                yield from event.get("warnings", ())


def wanted_config(experiment: Experiment, data: str) -> Config:
    """The config to train; raises ConfigError if it has ranges, UserError if its trainer cannot train on these data."""
    config = experiment.train_config()
    if data != WHOLE:
        return config
    whole: Config | None = experiment.trainer.on_all_data(config)
    if whole is None:
        raise UserError(
            f"{experiment.path}: the trainer {experiment.trainer.name} cannot train on the validation data as well, "
            f"since it alone knows what it validates on; leave --data {WHOLE} out (in Python data='{WHOLE}')"
        )
    return whole


@dataclass
class FinalJob:
    """What a final training needs, and what it has found on its way."""

    experiment: Experiment
    home: Home
    output: Path
    threads: int | None
    data_changed: bool
    show: Show
    seeds: int = 1
    data: str = "train"
    registration: Registration | None = None  # of the model in MLflow; None: it is logged alone
    facts: Mapping[str, Any] = field(default_factory=dict)  # about the data
    changed: bool = False  # the data differ from those of the search
    looks: int = 0  # at the test data, before this one

    def run(self, interrupt: Interrupt, stopping: Callable[[], bool]) -> FinalResult:
        """Prepares the data, trains and tests."""
        with opening_turn:
            wanted = wanted_config(self.experiment, self.data)
            prepared = prepared_data(self.experiment, self.home, self.show, self._check_data)
            settings = settings_for(self.experiment, self.home, prepared, self.threads)
        self.facts = prepared.facts
        self._tell_outdated()
        self._tell_steps(wanted, settings)
        fresh = [fresh_seed(wanted.seed, self._trial, n) for n in range(1, self.seeds)]
        final = FinalTraining(
            wanted, self.output, settings, trainer=self.experiment.trainer, data=prepared.facts, seeds=fresh
        )
        with contextlib.closing(final), self._logged() as runs:
            with interrupt:
                self._train(final, runs, stopping)
            if final.stopped:
                for run in runs.values():
                    run.finish({}, status="KILLED")
                return FinalResult({}, self.output, stopped=True, data=self.data)
            self.show(Testing())
            look = self._look(wanted, prepared.facts)
            metrics = final.test(lambda tested: self._note_look(look, tested))
            for text in model_at_chance(metrics, lambda name: examples_of(prepared.sets, name), split="test"):
                self.show(Notice(f"warning: {text}"))
            said, found = self._compared(final, settings)
            over_seeds = self._summary(final)
            self._write(final, found, over_seeds)
            self._write_card(metrics, prepared, final.signatures, (found, over_seeds))
            log = self._log(final, found, over_seeds)
            log.write(self.output)
            final.set_aside()
            has_model = self._tell_modelless(final)
            for training, seed in zip(final.trainings, log.seeds, strict=True):
                log.end(seed, runs[training.seed], self.output, self.registration)
            logged = runs[final.chosen.seed]
            self._tell_unregistered(logged)
            final.clear()
        return FinalResult(
            metrics,
            self.output,
            said,
            final.signatures,
            tuple(prepared.untested),
            gap=found,
            looks=self.looks,
            seed=final.chosen.seed,
            seeds=over_seeds,
            data=self.data,
            registered=logged.registered,
            has_model=has_model,
        )

    # ------------------------------------------------------------------------------------------------------- training

    @property
    def _trial(self) -> int:
        found = self.experiment.provenance.get("trial")
        return found if isinstance(found, int) else 0

    def _tell_outdated(self) -> None:
        """Says that the study has a better trial by now, if its journal is here."""
        name, known = self.experiment.study, self.experiment.provenance
        if known and known.get("study") == name and self.home.journal(name).exists():
            line = outdated(known, history_of(self.home, name, curves=False))
            if line:
                self.show(Notice(f"warning: {self.experiment.path}: {line}"))

    def _tell_steps(self, wanted: Config, settings: WorkerSettings) -> None:
        """Says what the same epochs mean for the steps, where the validation data are trained on as well."""
        if not wanted.trains_on_valid:
            return
        steps = [self.experiment.trainer.steps(one, settings) for one in (self.experiment.train_config(), wanted)]
        counted = "" if None in steps else f", which are {steps[1]:,} steps in place of {steps[0]:,}"
        self.show(
            Notice(
                f"trains on the train and the valid split together, for the same number of epochs{counted}; warm-up, "
                "cool-down and end keep their shares of it. The model is that of the last step"
            )
        )

    def _train(self, final: FinalTraining, runs: dict[int, FinalRun], stopping: Callable[[], bool]) -> None:
        """Trains the seeds one after the other; ends early if it is stopped."""
        metric = self.experiment.objective.metric
        for training in final.trainings:
            runs[training.seed] = run = self._run_of(training)
            for evaluation in training.run(stopping, self.show):
                share = evaluation.progress / final.trainer.phases(final.config).ends_at
                self.show(Trained(evaluation, metric, share, training.seed, training.number, training.seeds))
                run.evaluation(evaluation)
            if training.stopped:
                return

    def _check_data(self, facts: Mapping[str, Any]) -> None:
        """Raises UserError if the data differ from those of the search, unless `data_changed`."""
        found = data_changes(self.experiment.provenance, facts)
        if not self.data_changed:
            refuse_changed(self.experiment, found)
        self.changed = bool(found)
        if reason := cannot_tell(self.experiment.provenance, facts):
            self.show(Notice(f"warning: {self.experiment.path}: {reason}"))

    # --------------------------------------------------------------------------------------------------------- results

    def _compared(self, final: FinalTraining, settings: WorkerSettings) -> tuple[str | None, OptimismGap | None]:
        """The validation value beside the trial's, in one line, and the optimism gap; of the config's own seed.

        None if the config names no trial, the gap also for another training than the trial's.
        """
        own, known, objective = final.trainings[0], self.experiment.provenance, final.config.objective
        if final.config.trains_on_valid:
            trial = f"trial {known['trial']}'s value" if "trial" in known else "a trial's"
            return f"no {objective.metric} to compare with {trial}: the validation data were trained on", None
        if own.best is None:
            return f"no finite {objective.metric} of the config's own seed {own.seed}", None
        metrics, config = own.metrics, own.config
        value, changed = metrics[objective.metric], self.changed
        said = reproduction(known, config, value, settings, data_changed=changed, measured=own.measured)
        if said and len(final.trainings) > 1:
            said = f"seed {own.seed}: {said}"
        if changed or not known or edits(known, config):
            return said, None
        minimize = objective.direction == "minimize"
        return said, gap(known, objective.metric, metrics, minimize=minimize, looks=self.looks)

    def _summary(self, final: FinalTraining) -> SeedSummary | None:
        """The results of several seeds; None for one."""
        if len(final.trainings) == 1:
            return None
        results = [SeedResult(one.seed, one.metrics if one.best is not None else {}) for one in final.trainings]
        metric = "" if final.config.trains_on_valid else final.config.objective.metric
        return summary(results, chosen=final.chosen.seed, metric=metric)

    def _write(self, final: FinalTraining, found: OptimismGap | None, over_seeds: SeedSummary | None) -> None:
        if found is not None:
            write_json(self.output / "optimism.json", found.to_dict())
        seeds = None if over_seeds is None else over_seeds.to_dict()
        write_json(self.output / "final.json", {"data": self.data, "seed": final.chosen.seed, "seeds": seeds})

    def _write_card(
        self,
        metrics: Mapping[str, float],
        prepared: PreparedData,
        signatures: Mapping[str, str],
        evidence: tuple[OptimismGap | None, SeedSummary | None],
    ) -> None:
        """Writes the model's README.md."""
        experiment = self.experiment
        facts = Facts(
            experiment.study, metrics, prepared.sets, prepared.contents, experiment.provenance, signatures, *evidence
        )
        write_card(self.output, facts)

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

    # --------------------------------------------------------------------------------------------------------- MLflow

    def _run_of(self, training: SeedTraining) -> FinalRun:
        """The MLflow run of a seed; that of an earlier call continues."""
        seed = self._begun(training)
        return self._log_of((seed,)).begin(seed, self.home, say=lambda text: self.show(Notice(text)))

    def _begun(self, training: SeedTraining) -> SeedLog:
        """What is known of a seed's training at its beginning."""
        tags = {
            "hpsearch.seed": training.seed,
            "hpsearch.trained_on": self.data,
            "hpsearch.config": training.config.digest(),
        }
        name = "final" if training.number == 1 else f"final, seed {training.seed}"
        return SeedLog(name, training.config.model_dump(mode="json"), tags, training.began)

    def _log_of(self, seeds: tuple[SeedLog, ...]) -> FinalLog:
        experiment = self.experiment
        return FinalLog(experiment.study, experiment.tracking.uri, experiment.provenance, self.facts, seeds)

    def _log(self, final: FinalTraining, found: OptimismGap | None, over_seeds: SeedSummary | None) -> FinalLog:
        """What came of each seed: the model's has the gap as well, and mean and deviation over seeds."""
        also = (found.metrics() if found is not None else {}) | (over_seeds.metrics() if over_seeds is not None else {})
        seeds, now = [], time.time()
        for training in final.trainings:
            is_model = training is final.chosen
            status = "FINISHED" if training.best is not None else "FAILED"
            metrics = training.metrics | (also if is_model else {})
            about: dict[str, Any] = {"evaluations": training.evaluations, "metrics": metrics, "is_model": is_model}
            seeds.append(replace(self._begun(training), status=status, ended=now, **about))
        return self._log_of(tuple(seeds))

    def _tell_modelless(self, final: FinalTraining) -> bool:
        """Warns of a trainer that wrote no file of a model; returns whether there is one."""
        found, trainer = has_files(self.output), final.trainer
        if not found and type(trainer).export is not Trainer.export:
            self.show(Notice(f"warning: {self.output} has no model: {trainer.no_model}"))
        return found

    def _tell_unregistered(self, logged: FinalRun) -> None:
        """Says how a model is registered later, if MLflow was down."""
        if self.registration is not None and logged.registered is None and logged.fault:
            name = json.dumps(self.registration.name, ensure_ascii=False)
            self.show(Notice(f"once MLflow answers, `hpsearch register {self.output} {name}` registers the model"))

    @contextlib.contextmanager
    def _logged(self) -> Iterator[dict[int, FinalRun]]:
        """Yields the MLflow runs by seed, none at first; they end as FAILED or KILLED if the block raises."""
        runs: dict[int, FinalRun] = {}
        try:
            yield runs
        except BaseException as error:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            for run in runs.values():
                run.finish({}, status=status, timeout=PATIENCE_WHEN_FAILED)
            raise
