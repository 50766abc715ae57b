"""What comes of the winner: its config as a file, its final training, a larger one, and its weights.

exported.py      the config that a trial has come to      best.py            that config as best.yaml
provenance.py    where best.yaml comes from               larger.py          a larger training, by published rules
training.py      the final training and the test          seed.py            that of one seed, which resumes
reproduction.py  whether a training gives the same        evaluation_log.py  its evaluations, as they came first
weights.py       the weights that the search kept, without another training
"""
