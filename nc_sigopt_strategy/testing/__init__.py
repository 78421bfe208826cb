"""For whoever writes a host: a fake one that runs the whole loop, and the contract to inherit.

``contract.HostContract`` is a class of pytest tests; ``fake_host.FakeHost`` needs no framework.
"""
