from hpsearch.api.run import run as run
from hpsearch.api.study import Curve as Curve
from hpsearch.api.study import Study as Study
from hpsearch.api.study import load as load
from hpsearch.api.train import FinalResult as FinalResult
from hpsearch.api.train import train as train
from hpsearch.api.trial import Trial as Trial
from hpsearch.contract import Evaluation as Evaluation
from hpsearch.errors import CheckpointDamaged as CheckpointDamaged
from hpsearch.errors import ConfigError as ConfigError
from hpsearch.errors import DataError as DataError
from hpsearch.errors import HpsearchError as HpsearchError
from hpsearch.errors import JournalDamaged as JournalDamaged
from hpsearch.errors import StorageFailed as StorageFailed
from hpsearch.errors import StudyBusy as StudyBusy
from hpsearch.errors import StudyMismatch as StudyMismatch
from hpsearch.errors import TrainingFailed as TrainingFailed
from hpsearch.errors import UserError as UserError
from hpsearch.outcome import Outcome as Outcome
from hpsearch.policies.policy import GoOn as GoOn
from hpsearch.policies.policy import Judgement as Judgement
from hpsearch.policies.policy import New as New
from hpsearch.policies.policy import Nothing as Nothing
from hpsearch.policies.policy import Policy as Policy
from hpsearch.space.experiment import Experiment as Experiment
from hpsearch.verdict import Verdict as Verdict

__version__: str
