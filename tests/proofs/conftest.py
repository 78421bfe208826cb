"""A failed check shows what it compared."""

import pytest

pytest.register_assert_rewrite("tests.proofs.many_clients")
