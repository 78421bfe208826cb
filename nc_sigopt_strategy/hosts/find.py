"""The hosts by name: which there are, which are installed, and which takes a model."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.errors import (
    MissingExtraError,
    ModelError,
    SettingsError,
    UnsupportedVersionError,
    needed,
)
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.inc.registration import check_version
from nc_sigopt_strategy.hosts.inc3.versions import check_inc3_version
from nc_sigopt_strategy.hosts.model_kind import (
    FROZEN,
    IR,
    KERAS,
    ONNX,
    PROGRAM,
    SAVED_MODEL,
    TORCH,
    kind_of_model,
)
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.tuning.host import Host

ONNXRUNTIME, OPENVINO, TORCH_HOST = "onnxruntime", "openvino", "torch"
INC, INC3, AUTO = "inc", "inc3", "auto"
# Name, what is given, settings; see ``open_host``.
MakeHost = Callable[[str, Given, Settings], Host]


@dataclass(frozen=True)
class KnownHost:
    """A host by name.

    Attributes:
        name: As users name it.
        title: As sentences name it.
        takes: The kinds of model that it reads.
        modules: What has to be installed.
        extra: The extra that brings those.
        factory: ``module:class`` of a host that takes a ``Given``; imported late, because it
            imports its runtime. Empty for INC, whose ``fit`` makes its own.
        check_version: Raises ``UnsupportedVersionError`` where the installed version of its
            package is another host's; imports nothing.
    """

    name: str
    title: str
    takes: tuple[str, ...]
    modules: tuple[str, ...]
    extra: str
    factory: str = ""
    check_version: Callable[[], None] = lambda: None

    @property
    def is_installed(self) -> bool:
        """Whether its packages are there, in a version that it can do with; none is imported."""
        if not all(_is_there(module) for module in self.modules):
            return False
        try:
            self.check_version()
        except UnsupportedVersionError:
            return False
        return True

    def require(self) -> None:
        """Import its packages.

        Raises:
            MissingExtraError: One is not installed, or cannot be imported.
            UnsupportedVersionError: One is of a version that is for another host.
        """
        for module in self.modules:
            needed(
                module, f"nc_sigopt_strategy[{self.extra}]", what=f"Tuning with host={self.name!r}"
            )
        self.check_version()


_KNOWN = (
    KnownHost(
        ONNXRUNTIME,
        "ONNX Runtime",
        (ONNX,),
        ("onnx", "onnxruntime"),
        "onnxruntime",
        "nc_sigopt_strategy.hosts.onnxruntime.onnxruntime_host:OnnxRuntimeHost",
    ),
    KnownHost(
        OPENVINO,
        "OpenVINO",
        (IR, ONNX, FROZEN, SAVED_MODEL, TORCH, PROGRAM),
        ("openvino", "nncf"),
        "openvino",
        "nc_sigopt_strategy.hosts.openvino.openvino_host:OpenVinoHost",
    ),
    KnownHost(
        TORCH_HOST,
        "PyTorch",
        (TORCH, PROGRAM),
        ("torch", "torchao"),
        "torch",
        "nc_sigopt_strategy.hosts.torch.torch_host:TorchHost",
    ),
    KnownHost(
        INC,
        "Neural Compressor",
        (FROZEN, SAVED_MODEL, KERAS, ONNX),
        ("neural_compressor",),
        "inc",
        check_version=check_version,
    ),
    KnownHost(
        INC3,
        "Neural Compressor 3",
        (FROZEN, SAVED_MODEL),
        ("neural_compressor", "tensorflow"),
        "inc3",
        "nc_sigopt_strategy.hosts.inc3.inc3_host:Inc3Host",
        check_inc3_version,
    ),
)
# Which host takes a kind of model if nobody says which: the first that is installed.
_DEFAULTS = {
    ONNX: (ONNXRUNTIME,),
    IR: (OPENVINO,),
    TORCH: (OPENVINO, TORCH_HOST),
    PROGRAM: (TORCH_HOST, OPENVINO),
    FROZEN: (INC, INC3),
    SAVED_MODEL: (INC, INC3),
    KERAS: (INC, INC3),
}
# Runs a TensorFlow model in TensorFlow itself.
_IN_TENSORFLOW = (INC, INC3)
HOST_NAMES = tuple(host.name for host in _KNOWN)


def named_host(name: object) -> KnownHost:
    """The host of a name.

    Raises:
        SettingsError: There is none.
    """
    for host in _KNOWN:
        if host.name == name:
            return host
    names = (*HOST_NAMES, AUTO)
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.4)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    raise SettingsError(f"There is no host {name!r}.", f"{meant}Hosts: {', '.join(names)}.")


def host_for(model: Any, name: str | None = None) -> KnownHost:
    """The host that is to tune a model.

    Args:
        model: A path, or a framework's model object.
        name: Of the host; ``None``: as the kind of the model suggests.

    Raises:
        SettingsError: There is no such host.
        ModelError: There is no such model, or the host does not read its kind.
    """
    known = None if name is None else named_host(name)
    kind = kind_of_model(model)
    if known is None:
        usual = [named_host(default) for default in _DEFAULTS[kind]]
        known = next((host for host in usual if host.is_installed), usual[0])
    if kind in known.takes:
        return known
    able = [host.name for host in _KNOWN if kind in host.takes]
    export = "Export it with model.export(folder) and give the folder. " if kind == KERAS else ""
    raise ModelError(
        f"host={known.name!r} does not read {kind}, which {shown_model(model)} is.",
        f"{export}It is read by: {', '.join(able)}.",
    )


def hosts_that_read(model: Any) -> Sequence[KnownHost]:
    """All hosts that read the kind of a model, installed or not.

    Raises:
        ModelError: There is no such model.
    """
    kind = kind_of_model(model)
    return tuple(host for host in _KNOWN if kind in host.takes)


def installed_hosts(model: Any) -> list[KnownHost]:
    """The hosts that are installed and read the model, in the order in which they are tuned.

    Raises:
        MissingExtraError: None is installed.
        ModelError: There is no such model.
    """
    reading = hosts_that_read(model)
    installed = [host for host in reading if host.is_installed]
    if not installed:
        ways = " or ".join(f"'nc_sigopt_strategy[{host.extra}]'" for host in reading)
        raise MissingExtraError(
            f"None of the runtimes is installed that read {shown_model(model)}: "
            f"{', '.join(host.title for host in reading)}.",
            f"Install one of them with: pip install {ways}",
        )
    direct = [host for host in installed if host.name not in _IN_TENSORFLOW]
    runtimes = {module for host in direct for module in host.modules}
    # INC runs ONNX models with ONNX Runtime, which is tuned more directly beside it.
    inc = [h for h in installed if h.name in _IN_TENSORFLOW and "onnxruntime" not in runtimes]
    # First, because the bound is of who is first, and INC takes none from others.
    return [*inc, *direct]


def open_host(name: str, given: Given, settings: Settings) -> Host:
    """A host of a given model; for the hosts that take a ``Given``.

    Args:
        name: ``onnxruntime``, ``openvino``, ``torch`` or ``inc3``; INC's ``fit`` makes its own.
        given: What the user hands over.
        settings: What the user chose.

    Raises:
        SettingsError: There is no such host.
        MissingExtraError: It is not installed.
        SigOptStrategyError: The model or the data cannot be used.
    """
    known = host_for(given.model, name)
    if not known.factory:
        raise SettingsError(
            f"host={name!r} does not take a model directly.",
            f"Those that do: {', '.join(host.name for host in _KNOWN if host.factory)}.",
        )
    known.require()
    module, _, made = known.factory.partition(":")
    make: Callable[[Given, Settings], Host] = getattr(importlib.import_module(module), made)
    return make(given, settings)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def shown_model(model: Any) -> str:
    """A model in a message: its path, or the class of an object."""
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    return f"the given {type(model).__name__}"


def shown_at_start(model: Any) -> str:
    """The same where a sentence begins."""
    found = shown_model(model)
    return found[0].upper() + found[1:] if found.startswith("the given") else found
