"""One search, in the process that alone owns the study's state.

driver.py       opens it: lock, data, study, workers, views       loop.py         asks the policy, trains, judges, obeys
study.py        the trials, as the journal has them               decisions.py    each answer of the policy, recorded
attempts.py     what follows when an attempt ends or fails        requests.py     what people enqueue, recorded
allowance.py    what the budget still allows                      warm_start.py   what other studies have learnt
placement/      which trial goes to which worker                  baselines/      trivial models, measured meanwhile
"""
