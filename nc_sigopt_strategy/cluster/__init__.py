"""Ray as the launcher of ordinary workers: ``nc-sigopt tune MODEL --ray [ADDRESS] --workers N``.

Each worker is a process of its own, which an actor starts and follows on its node. What the
workers share is the experiment, in a store or on a server; Ray carries no trial.
"""

from __future__ import annotations
